"""Runs in a guest: has lvmsnap loaded once, and runs it as often as it is asked to, each time in a process of its own.

Starting Python and loading lvmsnap is most of what a command takes in a guest. A line of JSON on standard input for
each run: arguments, what goes before PATH, and perhaps a situation to run it in; a line of JSON as the answer.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lvmsnap
from lvmsnap.cli import parser

NAME = "lab-driver"  # wipe.sh spares it by that


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run lvmsnap; where a situation is given make it first, put it back, and say whether anything was changed."""
    situation = request["situation"]
    if situation is None:
        return {**run(request), "changed": False}
    os.makedirs("/etc/lvmsnap", exist_ok=True)
    Path("/etc/lvmsnap/check.yaml").write_text(situation["profile"])
    try:
        _shell(situation["before"])
        before = traces()
        return {**run(request), "changed": traces() != before}
    finally:
        _shell(situation["after"])


def _shell(commands: str) -> None:
    if commands:
        subprocess.run(["/bin/sh", "-c", f"set -e\n{commands}"], check=True, stdin=subprocess.DEVNULL, stdout=2)


# --- lvmsnap ----------------------------------------------------------------------------------------------------------


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run lvmsnap; return its exit code, -N where signal N killed it, and what it wrote."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _become_lvmsnap(request, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {"code": code, "stdout": _content(out), "stderr": _content(err)}


def _become_lvmsnap(request: dict[str, Any], out: int, err: int) -> None:
    os.setsid()
    _call_itself("python3")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    if request["path"]:
        os.environ["PATH"] = f"{request['path']}:{os.environ['PATH']}"
    sys.argv = [str(Path(lvmsnap.__file__).with_name("__main__.py")), *request["arguments"]]
    os._exit(_main())


def _main() -> int:
    try:
        code = parser.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _content(file: Any) -> str:
    file.seek(0)
    return bytes(file.read()).decode(errors="backslashreplace")


def _call_itself(name: str) -> None:
    Path("/proc/self/comm").write_text(name, encoding="ascii")


# --- what a refusal must not change -----------------------------------------------------------------------------------


def traces() -> list[str]:
    """Return everything that a change would leave its traces in, LVM's metadata too; starts nothing."""
    return [*_mounts_and_devices(), *_entries("/media"), *_entries("/mnt"), *_sequence_numbers()]


def _mounts_and_devices() -> Iterator[str]:
    yield Path("/proc/self/mounts").read_text()
    for folder in ("/sys/block", "/dev/mapper", "/var/lib/lvmsnap"):
        # A run that was refused is in the history.
        yield str(sorted({*os.listdir(folder)} - {"history"}) if os.path.isdir(folder) else None)
    for bound in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        yield f"{bound}: {bound.read_text()}"


def _entries(top: str) -> Iterator[str]:
    for folder, names, files in os.walk(top):
        yield f"{folder}: {sorted([*names, *files])}"
        names[:] = [name for name in names if not os.path.ismount(os.path.join(folder, name))]


def _sequence_numbers() -> Iterator[str]:
    for backup in sorted(Path("/etc/lvm/backup").glob("*")):
        yield next(line for line in backup.read_text().splitlines() if "seqno" in line)


def main() -> None:
    """Answer requests until there are no more."""
    _call_itself(NAME)
    for module in pkgutil.walk_packages(lvmsnap.__path__, "lvmsnap."):
        importlib.import_module(module.name)  # most are loaded only when they are needed
    gc.freeze()  # what is never looked at is never copied for a child
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
