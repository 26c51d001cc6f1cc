"""A throw-away Linux machine: user-mode Linux on this machine's own files, with disks of its own.

Owns the guest's life: its work folder, its disks, its process group. Leaves nothing behind on the host.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

from . import launch
from .channel import Channel, Command, CommandFailed, Job, LabError, LabTimeout, Output, Result, encode

__all__ = ["Command", "CommandFailed", "GiB", "Job", "LabError", "LabTimeout", "Machine", "MiB", "Result"]

MiB = 1 << 20
GiB = 1 << 30
DEFAULT_DISKS = {"ubda": 512 * MiB, "ubdb": 512 * MiB}

_machines: "weakref.WeakSet[Machine]" = weakref.WeakSet()


class Machine:
    """One guest: boots, runs commands, loses its power. Its disks live until close()."""

    def __init__(self, disks: Mapping[str, int] | None = None, mem: str = "1G") -> None:
        """Make a machine that is switched off; `disks` maps ubda ... ubdp to sizes in bytes."""
        self.work = Path(tempfile.mkdtemp(prefix="lvmsnap-lab-"))
        self.disks = dict(DEFAULT_DISKS if disks is None else disks)
        self.mem = mem
        self.stands_as_built = False  # what tests built on it together (tests/lab/stage.py)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._boot: dict[str, Any] = {}
        _machines.add(self)
        for name, size in self.disks.items():
            with self.disk_image(name).open("wb") as image:
                image.truncate(size)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""
        self.close()

    def disk_image(self, name: str) -> Path:
        """Give the file on the host that is this disk's content."""
        return self.work / f"{name}.img"

    def boot(
        self,
        systemd: bool = False,
        append: Sequence[str] = (),
        initrd: Path | None = None,
        agent: bool = True,
        timeout: float = 120,
    ) -> None:
        """Switch the machine on and wait until the agent answers.

        `append` are more kernel arguments. With agent=False neither root nor init is given, nothing is waited
        for: `append` (and `initrd`) say what to boot, wait_console() sees it.
        """
        if self.is_running():
            raise LabError("the machine is on already")
        self.stands_as_built = False
        self._boot = {"systemd": systemd, "append": append, "initrd": initrd, "agent": agent, "timeout": timeout}
        handle_signals()
        launch.prepare(self.work, systemd)
        guest_reads, we_write = os.pipe()
        we_read, guest_writes = os.pipe()
        lines = (guest_reads, guest_writes)
        images = {name: self.disk_image(name) for name in self.disks}
        more = [*(launch.own_root(self.work) if agent else []), *([f"initrd={initrd}"] if initrd else []), *append]
        arguments = launch.kernel_arguments(self.work, self.mem, images, lines, more)
        try:
            self._process = launch.start(arguments, self.work, lines)
        finally:
            os.close(guest_reads)
            os.close(guest_writes)
        self._channel = Channel(we_read, we_write, self._explain)
        if agent:
            self._channel.wait_ready(timeout)

    def is_running(self) -> bool:
        """Tell whether the machine is on."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_group(self) -> int:
        """Give the process group, and session, on this machine that the guest is made of."""
        if self._process is None:
            raise LabError("the machine is off")
        return self._process.pid

    def start(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        tty: tuple[int, int] | None = None,
        stdin: bool = False,
        on_output: Output | None = None,
    ) -> Job:
        """Start a command and do not wait. A string is given to /bin/sh, a list is run as it is.

        `tty` (columns, rows) gives it a terminal; `stdin` lets Job.write() feed it; `on_output` is called with
        "out" or "err" and bytes as they come, from another thread.
        """
        return self._agent().start(command, env=env, cwd=cwd, tty=tty, stdin=stdin, on_output=on_output)

    def run(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        tty: tuple[int, int] | None = None,
        stdin: str | bytes | None = None,
        timeout: float = 60,
        check: bool = True,
        stream: bool = False,
    ) -> Result:
        """Run a command to its end; after `timeout` seconds kill it and raise LabTimeout.

        With `check` a failing command raises CommandFailed; with `stream` its output also goes to this process's
        own stdout and stderr as it comes.
        """
        job = self.start(
            command, env=env, cwd=cwd, tty=tty, stdin=stdin is not None, on_output=show if stream else None
        )
        if stdin is not None:
            job.write(stdin, end=True)
        try:
            result = job.wait(timeout)
        except LabTimeout:
            job.kill(signal.SIGKILL)
            raise
        return result.check() if check else result

    def write_file(self, path: str, content: str | bytes, mode: int = 0o644, timeout: float = 60) -> None:
        """Write a file in the guest; missing directories are made."""
        self._agent().write_file(path, encode(content), mode, timeout)

    def read_bytes(self, path: str, timeout: float = 60) -> bytes:
        """Read a file of the guest."""
        return self._agent().read_file(path, timeout)

    def read_file(self, path: str, timeout: float = 60) -> str:
        """Read a text file of the guest."""
        return self.read_bytes(path, timeout).decode()

    def console(self) -> str:
        """Everything the kernel has written to the console since the last boot."""
        try:
            return (self.work / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_console(self, text: str, timeout: float = 60) -> None:
        """Wait until `text` is on the console."""
        deadline = time.monotonic() + timeout
        while text not in self.console():
            if time.monotonic() > deadline or not self.is_running():
                raise LabTimeout(self._explain(f"never on the console: {text!r}"))
            time.sleep(0.05)

    def cut_power(self) -> None:
        """Kill the guest at once; its disks keep what had reached them."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def shutdown(self, timeout: float = 60) -> None:
        """Shut the guest down in an orderly way."""
        systemd = self._boot["systemd"]
        self.start(["systemctl", "poweroff"] if systemd else ["/lab/init", "shutdown"])
        self.wait_off(timeout)

    def wait_off(self, timeout: float = 60) -> None:
        """Wait until the guest has switched itself off."""
        assert self._process is not None
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabTimeout(self._explain(f"still running after {timeout:g} s")) from None
        self.cut_power()

    def reboot(self) -> None:
        """Shut down in an orderly way and boot again as before."""
        self.shutdown()
        self.boot(**self._boot)

    def close(self) -> None:
        """Kill the guest and remove its work folder, disks and all."""
        self.cut_power()
        shutil.rmtree(self.work, ignore_errors=True)
        _machines.discard(self)

    def _agent(self) -> Channel:
        if self._channel is None:
            raise LabError("the machine is off")
        return self._channel

    def _explain(self, problem: str) -> str:
        return f"{problem}; the console's last lines:\n" + "\n".join(self.console().splitlines()[-30:])


def show(stream: str, data: bytes) -> None:
    """Pass output of the guest on to our own stdout or stderr at once."""
    target = sys.stdout if stream == "out" else sys.stderr
    target.flush()
    os.write(target.fileno(), data)


@atexit.register
def close_all() -> None:
    """Leave no machine behind."""
    for machine in list(_machines):
        machine.close()


def handle_signals() -> None:
    """Make SIGTERM and SIGHUP close all machines too, unless the program has its own idea of them."""

    def handle(number: int, _frame: FrameType | None) -> None:
        close_all()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            try:
                signal.signal(number, handle)
            except ValueError:
                return  # not in the main thread
