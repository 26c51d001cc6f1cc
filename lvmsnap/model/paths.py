"""Where lvmsnap keeps its persistent state, and its state for one boot; which paths are inside others. Pure."""

from __future__ import annotations

STATE_DIR = "/var/lib/lvmsnap"
RUN_DIR = "/run/lvmsnap"
RUN_DIR_MODE = 0o700  # mountpoints are below it
# A path that needs no quotes, neither in YAML nor in a shell.
PLAIN_PATH = r"/[A-Za-z0-9_./+@=-]*"


def is_within(path: str, directory: str) -> bool:
    """Whether an absolute path without a trailing slash is `directory`, or somewhere in it."""
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def steps(directory: str, path: str) -> tuple[str, ...]:
    """Return the directories from `directory` down to `path` in it, both included, the outermost first."""
    names = [name for name in path.removeprefix(directory).split("/") if name]
    return tuple("/".join((directory, *names[:count])) for count in range(len(names) + 1))
