"""An HTTP/1.1 server on a free loopback port that does what a test tells it to.

    with Ollama() as server:                 speaks Ollama: version, tags, show, ps, generate, chat
        server.script(3, Reply(cut_after=5, end="reset"))   the fourth generation dies after five tokens
        ...run the program against server.url...
        server.generations                    what was asked, and the final record that was given

`Server` alone answers whatever its routes say, `replay` gives a recorded exchange of tests/traces back.
"""

import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Callable, Optional

# A held exchange gives up after so long, so that a failing test ends.
HOLD_LIMIT_SECONDS = 60


class Gate:
    """A place where the server stops until the test lets it go on."""

    def __init__(self):
        self.reached = threading.Event()
        self.open = threading.Event()

    def stop_here(self):
        self.reached.set()
        self.open.wait(HOLD_LIMIT_SECONDS)


class Hangup(Exception):
    """The exchange is over, and its connection with it."""


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict
    raw: bytes

    @property
    def body(self):
        """The body as JSON in UTF-8; fails when it is something else."""
        return json.loads(self.raw.decode("utf-8"))


class Exchange:
    """One request and the means to answer it, properly or not."""

    def __init__(self, connection: socket.socket, request: Request):
        self.connection = connection
        self.request = request
        self._head = b""

    def raw(self, data: bytes):
        self.connection.sendall(data)

    def answer(self, status: int, body, content_type="application/json; charset=utf-8"):
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n\r\n"
        self.raw(head.encode() + data)

    def begin(self, status=200, content_type="application/x-ndjson", at_once=False):
        """Starts a chunked answer. As Ollama does, the header goes out with the first chunk, unless `at_once`."""
        self._head = (f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n").encode()
        if at_once:
            self._flush()

    def _flush(self):
        head, self._head = self._head, b""
        if head:
            self.raw(head)

    def chunk(self, data: bytes):
        head, self._head = self._head, b""
        self.raw(head + f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def line(self, value):
        self.chunk(json.dumps(value).encode() + b"\n")

    def end(self):
        self._flush()
        self.raw(b"0\r\n\r\n")

    def close(self):
        """Ends the connection in the ordinary way, in the middle of whatever was being said."""
        raise Hangup

    def reset(self):
        """Ends it the hard way: the peer gets a RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup


class Server:
    """Accepts connections and hands every request to `handle`. Keeps the requests in `requests`."""

    def __init__(self, family=socket.AF_INET):
        self.requests: list[Request] = []
        self.routes: dict[tuple[str, str], Callable[[Exchange], None]] = {}
        self.failures: list[BaseException] = []
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._gates: list[Gate] = []
        self._closed = False
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept_forever)

    # ---- for the test ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def gate(self) -> Gate:
        gate = Gate()
        self._gates.append(gate)
        return gate

    def paths(self):
        with self._lock:
            return [request.path for request in self.requests]

    def stop_listening(self):
        """From now on nobody listens there: connecting is refused. Connections that are open stay open."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def stop(self):
        self.stop_listening()
        for gate in self._gates:
            gate.open.set()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HOLD_LIMIT_SECONDS)
        if self.failures:
            raise self.failures[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- for subclasses ----

    def handle(self, exchange: Exchange):
        route = self.routes.get((exchange.request.method, exchange.request.path))
        if route is None:
            exchange.answer(404, "404 page not found", "text/plain")
        else:
            route(exchange)

    def greet(self, connection: socket.socket):
        """Called for every connection before anything is read from it."""

    # ---- inside ----

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_forever(self):
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection):
        stream = None
        try:
            self.greet(connection)
            stream = connection.makefile("rb")
            while (request := read_request(stream)) is not None:
                with self._lock:
                    self.requests.append(request)
                self.handle(Exchange(connection, request))
        except (Hangup, OSError):
            pass  # the script wanted it, or the program went away
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.failures.append(error)  # a mistake in the test: told by stop()
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
            if stream is not None:  # it holds the socket open
                with contextlib.suppress(OSError):
                    stream.close()


def read_request(stream) -> Optional[Request]:
    """The next request of a connection; None when the peer has closed it or doesn't speak HTTP."""
    words = stream.readline().split()
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    headers = {}
    while (line := stream.readline().strip()):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    raw = stream.read(int(headers.get("content-length", "0")))
    return Request(words[0].decode(), words[1].decode(), headers, raw)


# ---- recorded exchanges ----


@dataclasses.dataclass
class Trace:
    """One recorded exchange, in the form of tests/traces/README.md."""

    request: dict
    status: int
    headers: dict
    chunks: list  # of bytes

    @staticmethod
    def load(path: Path) -> "Trace":
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return Trace(lines[0]["request"], lines[1]["status"], lines[1]["headers"],
                     [line["data"].encode() for line in lines[2:]])

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def final(self) -> dict:
        """The last record of an NDJSON stream."""
        return json.loads(self.body.decode().strip().splitlines()[-1])


def replay(trace: Trace, pace_seconds=0.001) -> Callable[[Exchange], None]:
    """A route that gives the recorded answer again, chunk by chunk. The recorded times are too long for a test."""

    def give(exchange: Exchange):
        content_type = trace.headers.get("Content-Type", "application/json")
        if "Transfer-Encoding" not in trace.headers:
            exchange.answer(trace.status, trace.body, content_type)
            return
        exchange.begin(trace.status, content_type)
        for chunk in trace.chunks:
            pause(pace_seconds)
            exchange.chunk(chunk)
        exchange.end()

    return give


def pause(seconds: float):
    if seconds > 0:
        threading.Event().wait(seconds)


# ---- Ollama ----


@dataclasses.dataclass
class Reply:
    """How a generation is answered. The default: all the tokens that were asked for, one a chunk."""

    tokens: Optional[int] = None          # default: num_predict
    pace_seconds: float = 0.0006          # before each token
    first_token_seconds: float = 0.002    # before the first one, instead
    header_at_once: bool = False          # as llama-server does it; Ollama sends the header with the first token
    empty_first_chunk: bool = False
    tokens_per_chunk: int = 1
    thinking: int = 0                     # so many of the first tokens are reasoning
    done_reason: str = "length"
    prompt_tokens: Optional[int] = None   # default: a number made from the prompt's words
    prompt_ns_per_token: int = 1_000_000
    load_ns: int = 1_400_000
    eval_ns: object = "clock"             # "clock": the time that really passed; None: left out; or a number
    cut_after: Optional[int] = None       # after so many tokens comes `end`
    end: str = "final"                    # final | silence | reset | close | error | not-json
    error: str = "llama runner process no longer running: 2"
    gate: Optional[Gate] = None           # stop at `gate_after` tokens
    gate_after: int = 0


@dataclasses.dataclass
class Generation:
    """A request for text, and the server's own count of what it gave."""

    body: dict
    path: str
    final: Optional[dict] = None
    first_token_delay_ns: Optional[int] = None  # from the request to the first token, by the server's clock
    total_ns: Optional[int] = None              # from the request to the final record


class Ollama(Server):
    """Speaks the part of Ollama's interface that a benchmark needs, for models that exist in name only."""

    def __init__(self, models=("llama3.2:3b",), version="0.24.0", loaded=(), context_length=4096, gpu_share=1.0, **more):
        self.models = list(models)
        self.version = version
        self.context_length = context_length
        self.gpu_share = gpu_share
        self.loaded = {name: context_length for name in loaded}
        self.reply = Reply()
        self.scripted: dict[int, Reply] = {}
        self.generations: list[Generation] = []
        self.loads: list[Request] = []
        self.unloads: list[Request] = []
        self.load_gate: Optional[Gate] = None
        self.load_answer: Optional[tuple[int, object]] = None
        super().__init__(**more)
        self.routes.update({
            ("GET", "/api/version"): lambda e: e.answer(200, {"version": self.version}),
            ("GET", "/api/tags"): self.give_tags,
            ("POST", "/api/show"): self.give_show,
            ("GET", "/api/ps"): self.give_ps,
            ("POST", "/api/generate"): self.give_generate,
            ("POST", "/api/chat"): self.give_generate,
            ("GET", "/"): lambda e: e.answer(200, "Ollama is running", "text/plain"),
        })

    def script(self, index: int, reply: Reply):
        """How the generation number `index` is answered; 0 is the first warm-up request."""
        self.scripted[index] = reply

    @property
    def measured(self) -> list:
        """The generations after the two of the warm-up."""
        return self.generations[2:]

    def give_tags(self, exchange):
        exchange.answer(200, {"models": [{"name": name, "model": name, "size": 1} for name in self.models]})

    def give_show(self, exchange):
        if not self._knows(exchange):
            return
        exchange.answer(200, {
            "modelfile": "FROM /models/blobs/sha256-" + "5" * 64 + "\n",
            "details": {"family": "llama", "quantization_level": "Q4_K_M", "parameter_size": "3.2B"},
            "model_info": {"general.architecture": "llama", "general.parameter_count": 3212749888},
            "capabilities": ["completion"]})

    def give_ps(self, exchange):
        size = 3_000_000_000
        exchange.answer(200, {"models": [
            {"name": name, "model": name, "size": size, "size_vram": int(size * self.gpu_share), "context_length": context}
            for name, context in self.loaded.items()]})

    def _knows(self, exchange) -> bool:
        name = exchange.request.body.get("model", "")
        if name in self.models:
            return True
        exchange.answer(404, {"error": f"model '{name}' not found"})
        return False

    def give_generate(self, exchange):
        if not self._knows(exchange):
            return
        body = exchange.request.body
        if body.get("prompt") or body.get("messages"):
            self._generate(exchange, body)
        elif body.get("keep_alive") == 0:
            self.unloads.append(exchange.request)
            self.loaded.pop(body["model"], None)
            exchange.answer(200, {"model": body["model"], "response": "", "done": True, "done_reason": "unload"})
        else:
            self._load(exchange, body)

    def _load(self, exchange, body):
        self.loads.append(exchange.request)
        if self.load_gate:
            self.load_gate.stop_here()
        if self.load_answer:
            exchange.answer(*self.load_answer)
            return
        self.loaded[body["model"]] = body.get("options", {}).get("num_ctx", self.context_length)
        exchange.answer(200, {"model": body["model"], "response": "", "done": True, "done_reason": "load"})

    def _generate(self, exchange, body):
        begin = time.perf_counter_ns()
        chat = exchange.request.path == "/api/chat"
        generation = Generation(body, exchange.request.path)
        with self._lock:
            index = len(self.generations)
            self.generations.append(generation)
        reply = self.scripted.get(index, self.reply)
        asked = body["options"]["num_predict"]
        tokens = asked if reply.tokens is None else reply.tokens
        limit = tokens if reply.cut_after is None else min(tokens, reply.cut_after)

        def event(text, thinking=False):
            if chat:
                message = {"role": "assistant", "content": "" if thinking else text}
                return {"model": body["model"], "message": message | ({"thinking": text} if thinking else {}), "done": False}
            return {"model": body["model"], "response": "" if thinking else text, "done": False} | (
                {"thinking": text} if thinking else {})

        exchange.begin(at_once=reply.header_at_once)
        if reply.empty_first_chunk:
            exchange.line(event(""))
        first = last = None
        sent = 0
        stopped = False
        while sent < limit:
            if reply.gate and sent >= reply.gate_after and not stopped:
                stopped = True
                reply.gate.stop_here()
            pause(reply.first_token_seconds if sent == 0 else reply.pace_seconds)
            count = min(reply.tokens_per_chunk, limit - sent)
            last = time.perf_counter_ns()
            if first is None:
                first = last
                generation.first_token_delay_ns = first - begin
            exchange.line(event(" word" * count, thinking=sent < reply.thinking))
            sent += count
        if reply.cut_after is not None:
            self._cut(exchange, reply)
            return
        # A natural stop counts its end token, which has no text.
        eval_count = sent + (1 if reply.done_reason == "stop" else 0)
        prompt = body.get("prompt") or body["messages"][0]["content"]
        prompt_tokens = reply.prompt_tokens if reply.prompt_tokens is not None else len(prompt.split()) + 6
        final = event("") | {
            "done": True, "done_reason": reply.done_reason, "load_duration": reply.load_ns,
            "prompt_eval_count": prompt_tokens, "prompt_eval_duration": prompt_tokens * reply.prompt_ns_per_token,
            "eval_count": eval_count, "total_duration": time.perf_counter_ns() - begin}
        eval_ns = (last or 0) - (first or 0) if reply.eval_ns == "clock" else reply.eval_ns
        if eval_ns:
            final["eval_duration"] = eval_ns
        final = {key: value for key, value in final.items() if value != 0}  # Ollama leaves zeros out
        generation.final = final
        generation.total_ns = time.perf_counter_ns() - begin
        exchange.line(final)
        exchange.end()

    @staticmethod
    def _cut(exchange, reply):
        if reply.end == "reset":
            exchange.reset()
        elif reply.end == "close":
            exchange.close()
        elif reply.end == "error":
            exchange.line({"error": reply.error})
        elif reply.end == "not-json":
            exchange.chunk(b"<html>502 Bad Gateway</html>\n")
        exchange.end()


class Replayed(Server):
    """Answers with recorded exchanges: a name of a file in `folder` for each "METHOD /path"."""

    def __init__(self, folder: Path, answers: dict, pace_seconds=0.001):
        super().__init__()
        self.traces = {}
        for place, name in answers.items():
            method, path = place.split(" ")
            self.traces[place] = Trace.load(folder / f"{name}.jsonl")
            self.routes[(method, path)] = replay(self.traces[place], pace_seconds)


# ---- what isn't HTTP ----


class Mute(Server):
    """Accepts connections and never says anything."""

    def handle(self, exchange):
        self.gate().stop_here()


class Babble(Server):
    """Says the same bytes to everybody who connects, without listening, and hangs up."""

    def __init__(self, data: bytes):
        self.data = data
        super().__init__()

    def greet(self, connection):
        connection.sendall(self.data)
        # Reads what the program says, so that closing is an ordinary end and no reset.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        while connection.recv(4096):
            pass
        raise Hangup


class Slammer(Server):
    """Resets every connection as soon as a request has come."""

    def handle(self, exchange):
        exchange.reset()


class ClosedPort:
    """A port where connecting is refused, and which nobody else can get meanwhile."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self._socket.close()
