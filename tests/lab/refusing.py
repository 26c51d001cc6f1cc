"""Runs in a guest: has lvmsnap loaded once, and tries one situation after the other, as `refusals` asks for them.

A line of JSON on standard input for each: profile, shell before and after, arguments; a line of JSON as the answer.
lvmsnap runs in a process of its own each time, but does not start anew, which is most of what a refusal takes.
"""

from __future__ import annotations

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


def traces() -> list[str]:
    """Return everything that a change would leave its traces in, LVM's metadata too; starts nothing."""
    return [*_mounts_and_devices(), *_entries("/media"), *_entries("/mnt"), *_sequence_numbers()]


def _mounts_and_devices() -> Iterator[str]:
    yield Path("/proc/self/mounts").read_text()
    for folder in ("/sys/block", "/dev/mapper", "/var/lib/lvmsnap"):
        yield str(sorted(os.listdir(folder)) if os.path.isdir(folder) else None)
    for bound in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        yield f"{bound}: {bound.read_text()}"


def _entries(top: str) -> Iterator[str]:
    for folder, names, files in os.walk(top):
        yield f"{folder}: {sorted([*names, *files])}"
        names[:] = [name for name in names if not os.path.ismount(os.path.join(folder, name))]


def _sequence_numbers() -> Iterator[str]:
    for backup in sorted(Path("/etc/lvm/backup").glob("*")):
        yield next(line for line in backup.read_text().splitlines() if "seqno" in line)


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Run lvmsnap; return its exit code and what it wrote."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os._exit(_main(arguments))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code, _content(out), _content(err)


def _main(arguments: list[str]) -> int:
    try:
        code = parser.main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _content(file: Any) -> str:
    file.seek(0)
    return str(file.read())


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Make the situation, run lvmsnap in it, put it back; say how lvmsnap ended and whether it changed anything."""
    os.makedirs("/etc/lvmsnap", exist_ok=True)
    Path("/etc/lvmsnap/check.yaml").write_text(request["profile"])
    try:
        _shell(request["before"])
        before = traces()
        code, stdout, stderr = run(request["arguments"])
        return {"code": code, "stdout": stdout, "stderr": stderr, "changed": traces() != before}
    finally:
        _shell(request["after"])


def _shell(commands: str) -> None:
    if commands:
        subprocess.run(["/bin/sh", "-c", f"set -e\n{commands}"], check=True, stdin=subprocess.DEVNULL, stdout=2)


def main() -> None:
    """Answer requests until there are no more."""
    for module in pkgutil.walk_packages(lvmsnap.__path__, "lvmsnap."):
        importlib.import_module(module.name)  # most are loaded only when they are needed
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
