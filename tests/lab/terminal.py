"""Our own terminal tied to a command in the guest, and what the lab's commands `run` and `shell` share."""

import argparse
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .machine import GiB, Job, LabTimeout, Machine, MiB

UNITS = {"KiB": 1 << 10, "MiB": MiB, "GiB": GiB, "K": 1 << 10, "M": MiB, "G": GiB}


def disk(text: str) -> tuple[str, int]:
    """Read NAME=SIZE from the command line."""
    name, _, size = text.partition("=")
    for unit, factor in UNITS.items():
        if size.endswith(unit) and size.removesuffix(unit).isdigit() and name[:3] == "ubd":
            return name, int(size.removesuffix(unit)) * factor
    raise argparse.ArgumentTypeError(f"{text!r} is not like ubda=512MiB")


def shell_status(status: int) -> int:
    """Exit status as a shell gives it: 128 + N for a command that signal N killed."""
    return 128 - status if status < 0 else status


def attach(machine: Machine, command: Sequence[str], cwd: str, timeout: float | None = None) -> int:
    """Run a command in the guest on our own terminal, keys, window size and all; give its status."""
    job = machine.start(command, cwd=cwd, tty=shutil.get_terminal_size(), on_output=write_through)
    deadline = None if timeout is None else time.monotonic() + timeout
    with raw_keys(), window_changes() as changes:
        while job.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                job.kill(signal.SIGKILL)
                raise LabTimeout(f"killed after {timeout:g} s: {job}")
            if changes:
                changes.clear()
                job.resize(*shutil.get_terminal_size())
            pass_keys(job)
    return job.wait(0).returncode


def pass_keys(job: Job) -> None:
    """Send on what was typed, if anything was within a moment."""
    if not sys.stdin.isatty():
        time.sleep(0.05)
    elif select.select([0], [], [], 0.05)[0]:
        job.write(os.read(0, 1024))


def write_through(_stream: str, data: bytes) -> None:
    """Write the guest's output to our terminal at once."""
    while data:
        data = data[os.write(1, data) :]


@contextmanager
def raw_keys() -> Iterator[None]:
    """Let every key, Ctrl-C too, go to the guest."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def window_changes() -> Iterator[list[int]]:
    """Give a list that gets an item whenever our window changes its size."""
    changes: list[int] = []
    before = signal.signal(signal.SIGWINCH, lambda number, _frame: changes.append(number))
    try:
        yield changes
    finally:
        signal.signal(signal.SIGWINCH, before)
