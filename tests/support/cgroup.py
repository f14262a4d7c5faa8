"""A control group of our own to run a program in, where this machine lets us make one."""

import os
import subprocess
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def _own_groups():
    """{controller or "": path in its hierarchy} of this process (/proc/self/cgroup)."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


class Group:
    """A group below this process's own, with limits written into its files; None where that isn't allowed here."""

    def __init__(self, path):
        self.path = path

    @staticmethod
    def make(controller, limits_v1, limits_v2):
        own = _own_groups()
        if controller in own:
            parents, limits = [ROOT / controller / own[controller].lstrip("/"), ROOT / controller], limits_v1
        elif "" in own:
            parents, limits = [ROOT / own[""].lstrip("/")], limits_v2
        else:
            return None
        for parent in parents:
            path = parent / f"velollm-test-{os.getpid()}"
            try:
                path.mkdir()
            except OSError:
                continue
            group = Group(path)
            try:
                for name, value in limits.items():
                    (path / name).write_text(str(value), encoding="ascii")
                # Whether a process may enter is known only when one has.
                subprocess.run(group.words(["true"]), check=True, capture_output=True, timeout=30)
                return group
            except (OSError, subprocess.CalledProcessError):
                group.remove()
        return None

    def words(self, words):
        """The command line that runs `words` in the group."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *map(str, words)]

    def remove(self):
        try:
            self.path.rmdir()
        except OSError:
            pass
