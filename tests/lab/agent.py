"""Runs inside the guest: starts commands the host asks for and sends back what they say.

One JSON object a line in both directions over the serial line given as first argument; bytes travel as base64.
Requests: start, stdin, kill, resize, write, read. Answers: ready, ack, out, err, exit, data, done, error. Standard
library only and few imports, because every import costs time in the guest (so no pathlib); no threads. Writes to the
line may block: the host always reads.
"""

import base64
import contextlib
import fcntl
import functools
import json
import os
import selectors
import signal
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Callable
from typing import Any

CHUNK = 32768
CLEAN_ENV = {
    "PATH": ":".join(["/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *sys.argv[2:]]),
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}


class Command:
    """One running command and the agent's ends of its pipes or of its terminal."""

    def __init__(self, ident: int, request: dict[str, Any]) -> None:
        """Start what `request` describes, in a session of its own."""
        self.ident = ident
        self.queue = bytearray()
        self.ended = False
        self.terminal: int | None = None
        self.stdin: int | None = None
        self.outputs: dict[int, str] = {}
        self.pid = (self._start_on_terminal if request.get("tty") else self._start_on_pipes)(request)
        for descriptor in self.outputs:
            os.set_blocking(descriptor, False)
        if self.stdin is not None:
            os.set_blocking(self.stdin, False)

    def _start_on_pipes(self, request: dict[str, Any]) -> int:
        ours: list[int] = []
        theirs: list[int] = []
        for end in (0, 1, 1) if request.get("stdin") else (1, 1):
            pair = os.pipe()
            ours.append(pair[1 - end])
            theirs.append(pair[end])
        stdin = theirs[0] if request.get("stdin") else subprocess.DEVNULL
        try:
            pid = spawn(request, CLEAN_ENV, (stdin, theirs[-2], theirs[-1]))
        except BaseException:
            close_all(ours)
            raise
        finally:
            close_all(theirs)
        self.outputs = {ours[-2]: "out", ours[-1]: "err"}
        self.stdin = ours[0] if request.get("stdin") else None
        return pid

    def _start_on_terminal(self, request: dict[str, Any]) -> int:
        master, slave = os.openpty()
        resize(master, request["tty"])
        environment = CLEAN_ENV | {"TERM": "xterm-256color"}
        try:
            pid = spawn(request, environment, (slave, slave, slave), take_terminal)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self.terminal, self.stdin, self.outputs = master, os.dup(master), {master: "out"}
        return pid


def spawn(
    request: dict[str, Any],
    environment: dict[str, str],
    streams: tuple[int, int, int],
    before_exec: Callable[[], None] | None = None,
) -> int:
    """Start the command of `request` and give its process id; the agent reaps it by itself."""
    child = subprocess.Popen(
        request["argv"],
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        env=environment | request.get("env", {}),
        cwd=request.get("cwd", "/"),
        start_new_session=True,
        preexec_fn=before_exec,  # noqa: PLW1509 - there are no threads
    )
    child.returncode = 0
    return child.pid


def take_terminal() -> None:
    """Make standard input the controlling terminal of a new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def close_all(descriptors: list[int]) -> None:
    """Close every one of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def resize(terminal: int, size: list[int]) -> None:
    """Give a terminal a new size, (columns, rows)."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


class Agent:
    """Serves one serial line until the host closes it."""

    def __init__(self, line: int) -> None:
        """Take over the open serial line."""
        self.line = line
        self.selector = selectors.DefaultSelector()
        self.commands: dict[int, Command] = {}
        self.incoming = b""
        self.open = True

    def serve(self) -> None:
        """Answer requests for ever; return when the host is gone."""
        wakeup, wakeup_write = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(wakeup_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        self.watch(self.line, self.read_line)
        self.watch(wakeup, lambda: self.reap(wakeup))
        self.send("ready", 0)
        while self.open:
            for key, _events in self.selector.select():
                if self.selector.get_map().get(key.fd) == key:  # not closed earlier in this round
                    key.data()

    def watch(self, descriptor: int, handler: Callable[[], object], events: int = selectors.EVENT_READ) -> None:
        """Call `handler` whenever the descriptor is ready."""
        self.selector.register(descriptor, events, handler)

    def send(self, operation: str, ident: int, data: bytes | None = None, **more: Any) -> None:
        """Send one answer to the host, waiting until the line has taken it."""
        message = {"op": operation, "id": ident} | more
        if data is not None:
            message["data"] = base64.b64encode(data).decode()
        rest = memoryview(json.dumps(message).encode() + b"\n")
        while rest:
            rest = rest[os.write(self.line, rest) :]

    def read_line(self) -> None:
        """Read and handle requests; end of file means that the host is gone."""
        data = os.read(self.line, CHUNK)
        self.open = bool(data)
        self.send("ack", 0, size=len(data))
        *lines, self.incoming = (self.incoming + data).split(b"\n")
        for line in filter(None, lines):
            request = json.loads(line)
            try:
                getattr(self, "do_" + request["op"])(request["id"], request)
            except (OSError, ValueError) as error:
                self.send("error", request["id"], text=str(error))

    def do_start(self, ident: int, request: dict[str, Any]) -> None:
        """Start a command; as in a shell, 127 means no such program and 126 not to be run."""
        try:
            command = Command(ident, request)
        except (OSError, subprocess.SubprocessError) as error:
            self.send("err", ident, f"{request['argv'][0]}: {error}\n".encode())
            self.send("exit", ident, status=127 if isinstance(error, FileNotFoundError) else 126)
            return
        self.commands[ident] = command
        for descriptor in command.outputs:
            self.watch(descriptor, functools.partial(self.pass_on, command, descriptor))

    def do_stdin(self, ident: int, request: dict[str, Any]) -> None:
        """Queue bytes for a command's standard input; with `end`, close it after them."""
        command = self.commands.get(ident)
        if command and command.stdin is not None and not command.ended:
            if not command.queue:
                self.watch(command.stdin, lambda: self.feed(command), selectors.EVENT_WRITE)
            command.queue += base64.b64decode(request["data"])
            command.ended = request["end"]
            self.feed(command)

    def do_kill(self, ident: int, request: dict[str, Any]) -> None:
        """Send a signal to a command's process group, or to the command alone."""
        if command := self.commands.get(ident):
            (os.killpg if request["group"] else os.kill)(command.pid, request["signal"])

    def do_resize(self, ident: int, request: dict[str, Any]) -> None:
        """Tell a command's terminal its new size."""
        command = self.commands.get(ident)
        if command and command.terminal is not None:
            resize(command.terminal, request["size"])

    def do_write(self, ident: int, request: dict[str, Any]) -> None:
        """Write (or append) one piece of a file, its directories made where they are missing."""
        path = request["path"]
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if request["append"] else os.O_TRUNC)
        os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(base64.b64decode(request["data"]))
            os.fchmod(file.fileno(), request["mode"])
        self.send("done", ident)

    def do_read(self, ident: int, request: dict[str, Any]) -> None:
        """Send a whole file."""
        with open(request["path"], "rb") as file:
            while data := file.read(CHUNK):
                self.send("data", ident, data)
        self.send("done", ident)

    def feed(self, command: Command) -> None:
        """Move queued input on to the command as far as it takes it."""
        assert command.stdin is not None
        try:
            del command.queue[: os.write(command.stdin, command.queue)]
        except BlockingIOError:
            return
        except OSError:  # it does not read any more
            command.queue.clear()
            command.ended = True
        if not command.queue:
            self.selector.unregister(command.stdin)
            if command.ended:
                os.close(command.stdin)
                command.stdin = None

    def pass_on(self, command: Command, descriptor: int) -> bool:
        """Send one chunk of a command's output; False if there is none now."""
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last user of the terminal is gone
            data = b""
        if data:
            self.send(command.outputs[descriptor], command.ident, data)
        else:
            self.drop(command, descriptor)
        return bool(data)

    def drop(self, command: Command, descriptor: int) -> None:
        """Forget an output that has ended."""
        self.selector.unregister(descriptor)
        del command.outputs[descriptor]
        if descriptor == command.terminal:
            command.terminal = None
        os.close(descriptor)

    def reap(self, wakeup: int) -> None:
        """Report every command that has ended, and bury orphans where the agent is process 1."""
        os.read(wakeup, CHUNK)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for command in [each for each in self.commands.values() if each.pid == ended[0]]:
                    self.finish(command, os.waitstatus_to_exitcode(ended[1]))

    def finish(self, command: Command, status: int) -> None:
        """Send what a command has still written, then its exit status; its children's output is not waited for."""
        for descriptor in list(command.outputs):
            while self.pass_on(command, descriptor):
                pass
            if descriptor in command.outputs:
                self.drop(command, descriptor)
        if command.stdin is not None:
            if command.queue:
                self.selector.unregister(command.stdin)
            os.close(command.stdin)
        del self.commands[command.ident]
        self.send("exit", command.ident, status=status)


def main() -> None:
    """Serve the serial line named on the command line; a second argument is one more folder of programs."""
    line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    with contextlib.suppress(OSError):  # the host is gone
        Agent(line).serve()
    subprocess.run(["poweroff", "-f", "-f"], check=False)


if __name__ == "__main__":
    main()
