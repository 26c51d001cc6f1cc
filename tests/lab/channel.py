"""Host's end of the serial line to a guest: commands as jobs, files as calls. Knows nothing of how guests boot."""

import base64
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHUNK = 32768
WINDOW = 3584  # the guest's line loses its wits when more waits to be read (n_tty's buffer holds 4095 bytes)
PATIENCE = 60

Output = Callable[[str, bytes], None]
Command = str | Sequence[str | os.PathLike[str]]


class LabError(Exception):
    """The lab itself failed; the message ends with the guest's last console lines."""


class LabTimeout(LabError):
    """A command or the guest did not answer in time."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: its status (-N: killed by signal N) and all it wrote."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    def check(self) -> "Result":
        """Give itself back, or raise CalledProcessError with the output in its message if the command failed."""
        if self.returncode:
            raise CommandFailed(self.returncode, self.argv, self.stdout, self.stderr)
        return self


class CommandFailed(subprocess.CalledProcessError):
    """A command in the guest failed; shows what it wrote."""

    def __str__(self) -> str:
        """Status, command and output."""
        return f"{super().__str__()}\n{self.stdout}{self.stderr}"


class Job:
    """A command that runs in the guest."""

    def __init__(self, channel: "Channel", argv: tuple[str, ...], on_output: Output | None) -> None:
        """Only Channel.start makes jobs."""
        self.argv = argv
        self.ident = channel.register(self)
        self._channel = channel
        self._on_output = on_output
        self._chunks: dict[str, list[bytes]] = {"out": [], "err": []}
        self._changed = threading.Condition()
        self._status: int | None = None
        self._error: str | None = None

    def poll(self) -> int | None:
        """Exit status, or None while it runs."""
        return self._status

    def is_running(self) -> bool:
        """Tell whether it runs, and so does its guest."""
        return self._status is None and self._error is None

    @property
    def stdout(self) -> str:
        """All it has written to standard output so far."""
        return decode(self._chunks["out"])

    @property
    def stderr(self) -> str:
        """All it has written to standard error so far."""
        return decode(self._chunks["err"])

    def wait(self, timeout: float = 60) -> Result:
        """Wait for its end; after `timeout` seconds LabTimeout, and it goes on running."""
        self.wait_for(lambda: self._status is not None, timeout)
        assert self._status is not None
        return Result(self.argv, self._status, self.stdout, self.stderr)

    def wait_for_output(self, text: str, timeout: float = 60) -> str:
        """Wait until `text` has been written to either stream; give all of that stream so far."""
        self.wait_for(lambda: text in self.stdout or text in self.stderr or self._status is not None, timeout)
        for written in (self.stdout, self.stderr):
            if text in written:
                return written
        raise LabError(f"{self} ended with {self._status} and never wrote {text!r}: {self.stdout}{self.stderr}")

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> None:
        """Wait until `condition` holds; it is looked at after everything the command writes."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._error is not None or condition(), timeout):
                raise LabTimeout(self._channel.explain(f"no end of {self} after {timeout:g} s"))
        if self._error is not None and not condition():
            raise LabError(self._channel.explain(f"{self}: {self._error}"))

    def kill(self, number: int = signal.SIGTERM, group: bool = True) -> None:
        """Send a signal to its process group, or with group=False to the process alone."""
        self._channel.send("kill", self.ident, signal=int(number), group=group)

    def write(self, data: str | bytes, end: bool = False) -> None:
        """Write to its standard input or terminal (start it with stdin=True or tty); `end` closes the input."""
        self._channel.send_data("stdin", self.ident, encode(data), end)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of its terminal."""
        self._channel.send("resize", self.ident, size=[columns, rows])

    def receive(self, operation: str, message: dict[str, Any]) -> None:
        """Take one answer of the agent (called by the reader thread)."""
        data = base64.b64decode(message.get("data", ""))
        if data and self._on_output:
            self._on_output(operation, data)
        with self._changed:
            if operation in ("out", "data"):
                self._chunks["out"].append(data)
            elif operation == "err":
                self._chunks["err"].append(data)
            elif operation in ("exit", "done"):
                self._status = message.get("status", 0)
            else:
                self._error = message["text"]
            self._changed.notify_all()

    def raw_stdout(self) -> bytes:
        """Standard output so far, undecoded."""
        return b"".join(self._chunks["out"])

    def __str__(self) -> str:
        """The command as in an error message."""
        return " ".join(self.argv)


class Channel:
    """Speaks with one agent; a thread reads its answers as long as the guest lives."""

    def __init__(self, incoming: int, outgoing: int, explain: Callable[[str], str]) -> None:
        """`explain` adds to an error message what the guest's console says."""
        self.explain = explain
        self.closed = threading.Event()
        self._incoming = incoming
        self._outgoing = outgoing
        self._jobs: dict[int, Job] = {}
        self._numbers = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._acknowledged = threading.Condition()
        self._under_way = 0
        self._ready = Job(self, ("boot",), None)
        self._reader = threading.Thread(target=self._read, name="lab-reader", daemon=True)
        self._reader.start()

    def wait_ready(self, timeout: float) -> None:
        """Wait until the agent has said that it is there."""
        self._ready.wait_for(lambda: self._ready.poll() is not None, timeout)

    def register(self, job: Job) -> int:
        """Give a new job its number; number 0 is the agent's own."""
        with self._lock:
            number, self._numbers = self._numbers, self._numbers + 1
            self._jobs[number] = job
            return number

    def start(
        self,
        command: Command,
        *,
        env: Mapping[str, str] | None,
        cwd: str,
        tty: tuple[int, int] | None,
        stdin: bool,
        on_output: Output | None,
    ) -> Job:
        """Start a command; a string is given to /bin/sh."""
        argv = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(os.fspath(part) for part in command)
        job = Job(self, argv, on_output)
        self.send("start", job.ident, argv=argv, env=dict(env or {}), cwd=cwd, tty=tty, stdin=stdin)
        return job

    def write_file(self, path: str, content: bytes, mode: int, timeout: float) -> None:
        """Write a file in the guest."""
        for start in range(0, max(len(content), 1), CHUNK):
            job = Job(self, ("write", path), None)
            self.send_data("write", job.ident, content[start : start + CHUNK], path=path, mode=mode, append=start > 0)
            job.wait(timeout)

    def read_file(self, path: str, timeout: float) -> bytes:
        """Read a file of the guest."""
        job = Job(self, ("read", path), None)
        self.send("read", job.ident, path=path)
        job.wait(timeout)
        return job.raw_stdout()

    def send(self, operation: str, ident: int, **more: Any) -> None:
        """Send one request."""
        try:
            with self._sending:
                self._write(json.dumps({"op": operation, "id": ident} | more).encode() + b"\n")
        except OSError as error:
            raise LabError(self.explain(f"the guest is gone ({error})")) from error

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), WINDOW):
            piece = data[start : start + WINDOW]
            with self._acknowledged:
                if not self._acknowledged.wait_for(lambda: self._under_way == 0 or self.closed.is_set(), PATIENCE):
                    raise LabTimeout(self.explain(f"the guest took no input for {PATIENCE} s"))
                self._under_way += len(piece)
            os.write(self._outgoing, piece)

    def send_data(self, operation: str, ident: int, data: bytes, end: bool = False, **more: Any) -> None:
        """Send bytes, in pieces."""
        for start in range(0, max(len(data), 1), CHUNK):
            last = start + CHUNK >= len(data)
            piece = base64.b64encode(data[start : start + CHUNK]).decode()
            self.send(operation, ident, data=piece, end=end and last, **more)

    def close(self) -> None:
        """End the connection to a guest that is off; jobs that wait fail."""
        self._reader.join(10)
        os.close(self._incoming)
        os.close(self._outgoing)

    def _read(self) -> None:
        buffer = b""
        while data := os.read(self._incoming, 1 << 16):
            *lines, buffer = (buffer + data).split(b"\n")
            for line in filter(None, lines):
                self._dispatch(json.loads(line))
        with self._acknowledged:
            self.closed.set()
            self._acknowledged.notify_all()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.receive("gone", {"text": "the guest is gone"})

    def _dispatch(self, message: dict[str, Any]) -> None:
        operation, number = message["op"], message["id"]
        if operation == "ack":
            with self._acknowledged:
                self._under_way -= message["size"]
                self._acknowledged.notify_all()
            return
        with self._lock:
            job = self._jobs.get(number)
            if operation in ("exit", "done", "error"):
                self._jobs.pop(number, None)
        if job:
            job.receive("done" if operation == "ready" else operation, message)


def encode(data: str | bytes) -> bytes:
    """Text as UTF-8."""
    return data.encode() if isinstance(data, str) else data


def decode(chunks: list[bytes]) -> str:
    """Bytes as text, with what is no UTF-8 shown as backslash escapes."""
    return b"".join(chunks).decode(errors="backslashreplace")
