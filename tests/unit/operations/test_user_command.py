"""The user's command as a child: its status, its signals, its terminal; real processes of this machine."""

from __future__ import annotations

import itertools
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lvmsnap.model.errors import NotStartedError
from lvmsnap.operations import user_command as supervising
from lvmsnap.operations.user_command import supervise
from lvmsnap.system.held_signals import Signals
from tests import TOP

ROOT = TOP


def never() -> float:
    return 60.0


def sh(script: str, signals: Signals | None = None, look: Callable[[], float] = never, **variables: str) -> int:
    return supervise(("/bin/sh", "-c", script), variables, signals or Signals(), look)


def signal_when(path: Path, *numbers: int, pause: float = 0.2) -> threading.Thread:
    """Send this process signals, one after the other, once the child has made the file."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.01)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(pause)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture(autouse=True)
def _no_zombies() -> Iterator[None]:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)])
def test_the_status_is_the_commands_or_128_and_its_signal(script: str, status: int) -> None:
    assert sh(script) == status


def test_what_cannot_be_executed_was_never_started(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no program")

    for argv, why in (((str(path),), "Permission denied"), (("/nowhere",), "No such file or directory")):
        with pytest.raises(NotStartedError) as caught:
            supervise(argv, {}, Signals(), never)
        assert why in caught.value.message


def test_input_output_and_variables_reach_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    code = "from tests.unit.operations.test_user_command import sh; "
    code += "raise SystemExit(sh('read a; echo $a $GIVEN', GIVEN='there'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=b"hello\n", capture_output=True, check=True)

    assert done.stdout == b"hello there\n"
    assert capfd.readouterr().err == ""


# --- signals ----------------------------------------------------------------------------------------------------------


def test_a_signal_goes_on_to_the_commands_whole_group(tmp_path: Path) -> None:
    script = f"""
    trap 'wait; exit 3' TERM
    sh -c 'trap "echo inner > {tmp_path}/inner; exit" TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done' &
    wait; exit 1
    """
    signals = Signals()
    with signals:
        sender = signal_when(tmp_path / "ready", signal.SIGTERM)
        status = sh(script, signals)
    sender.join()

    assert status == 3
    assert (tmp_path / "inner").read_text() == "inner\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_int_and_hup_go_on_too(tmp_path: Path, number: int) -> None:
    signals = Signals()
    with signals:
        sender = signal_when(tmp_path / "ready", number)
        status = sh(f"touch {tmp_path}/ready; exec sleep 20", signals)
    sender.join()

    assert status == 128 + number


def test_a_signal_that_came_before_the_command_is_passed_on_at_once() -> None:
    signals = Signals()
    signals.received = signal.SIGTERM

    assert sh("sleep 20", signals) == 143


def test_a_command_that_ignores_the_signal_is_killed_after_its_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "GRACE_SECONDS", 0.5)
    signals, start = Signals(), time.monotonic()
    with signals:
        sender = signal_when(tmp_path / "ready", signal.SIGTERM)
        status = sh(f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done", signals)
    sender.join()

    assert status == 137
    assert 0.5 <= time.monotonic() - start < 5


def test_a_second_signal_shortens_the_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "SHORT_GRACE_SECONDS", 0.3)
    signals, start = Signals(), time.monotonic()
    with signals:
        sender = signal_when(tmp_path / "ready", signal.SIGTERM, signal.SIGTERM)
        status = sh(f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done", signals)
    sender.join()

    assert status == 137
    assert time.monotonic() - start < 10  # not GRACE_SECONDS


# --- looking meanwhile ------------------------------------------------------------------------------------------------


def test_it_looks_at_once_and_then_whenever_it_was_told_to() -> None:
    looks: list[float] = []

    def look() -> float:
        looks.append(time.monotonic())
        return 0.2

    sh("sleep 1.1", look=look)

    pauses = [after - before for before, after in itertools.pairwise(looks)]
    assert 4 <= len(looks) <= 7
    assert min(pauses) >= 0.2


def test_an_end_is_seen_at_once_however_long_the_next_look_is_away() -> None:
    start = time.monotonic()

    assert sh("sleep 0.2") == 0
    assert time.monotonic() - start < 3


def test_where_looking_fails_the_command_does_not_outlive_it(tmp_path: Path) -> None:
    def fail() -> float:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        sh(f"echo $$ > {tmp_path}/pid; exec sleep 20", look=fail)

    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


# --- the terminal -----------------------------------------------------------------------------------------------------

SUPERVISED = """
import os, sys
from lvmsnap.operations.user_command import supervise
from lvmsnap.system.held_signals import Signals
signals = Signals()
with signals:
    status = supervise(("/bin/bash", "-c", sys.argv[1]), {}, signals, lambda: 60.0)
print(f"status {status} received {signals.received} back {os.tcgetpgrp(0) == os.getpgrp()}", flush=True)
"""


class Shell:
    """An interactive shell on a terminal of its own, typed at and read from."""

    def __init__(self) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ["PS1"] = "$"
            os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def expect(self, text: str, seconds: float = 15.0) -> str:
        """Read until the text appears; give all that came before it and forget it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"never saw {text!r}, but {self.seen!r}"
            if select.select([self.terminal], [], [], left)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def processes(self) -> list[str]:
        """Return "STATE ARGUMENTS" of all processes of the shell's session."""
        command = ["ps", "-ww", "-o", "stat=,args=", "-s", str(self.pid)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def states(self, text: str) -> set[tuple[str, str]]:
        """Return program and state, T for stopped, of those with the text in their arguments."""
        found = [line.split() for line in self.processes() if text in line]
        return {(program, state[0]) for state, program, *_ in found}

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "supervised.py").write_text(SUPERVISED)
    made = Shell()
    made.type(f"stty -echo; S() {{ PYTHONPATH=. {sys.executable} {tmp_path}/supervised.py \"$@\"; }}; echo re''ady\n")
    made.expect("ready")
    yield made
    made.close()


# A command has the terminal a moment after it began, so what is typed at it waits for that.
FOREGROUND = """sleep 0.5; read -r _ _ _ _ group _ _ fore _ < /proc/$$/stat; echo "mine $((group == fore))" """


def test_the_command_has_the_terminal_and_it_is_given_back(shell: Shell) -> None:
    shell.type(f"S '{FOREGROUND}; read -r typed < /dev/tty; echo got $typed'\n")
    shell.expect("mine 1")
    shell.type("words\n")
    shell.expect("got words")
    shell.expect("status 0 received 0 back True")
    shell.type("echo al''ive\n")
    shell.expect("alive")


def test_ctrl_c_reaches_the_command_once_and_lvmsnap_not_at_all(shell: Shell) -> None:
    shell.type("S 'trap \"echo caught\" INT; sleep 0.5; echo run''ning; sleep 1; sleep 1; exit 5'\n")
    shell.expect("running")
    shell.type("\x03")

    assert shell.expect("status 5 received 0 back True").count("caught") == 1


def test_ctrl_z_stops_both_and_fg_resumes_both(shell: Shell) -> None:
    shell.type(f"S 'sleep 0.5; echo run''ning; sleep 1.5; {FOREGROUND}; exit 6'\n")
    shell.expect("running")
    shell.type("\x1a")
    shell.expect("Stopped")
    # A fork of the command's shell, stopped before its exec, still has the shell's arguments.
    deadline = time.monotonic() + 5
    while (states := shell.states("; echo running")) != {(sys.executable, "T"), ("/bin/bash", "T")}:
        assert time.monotonic() < deadline, states
        time.sleep(0.05)
    shell.type("fg\n")
    shell.expect("mine 1")
    shell.expect("status 6 received 0 back True")
    shell.type("echo al''ive\n")
    shell.expect("alive")


def test_bg_goes_on_without_taking_the_terminal_from_the_shell(shell: Shell) -> None:
    shell.type(f"S 'sleep 0.5; echo run''ning; sleep 1; {FOREGROUND}; sleep 1'\n")
    shell.expect("running")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.type("bg\n")
    shell.expect("mine 0")
    shell.expect("status 0 received 0 back False")
    shell.type("echo al''ive\n")
    shell.expect("alive")


def test_a_job_begun_in_the_background_gets_the_terminal_when_it_is_in_the_foreground(shell: Shell) -> None:
    shell.type("S 'echo run''ning; sleep 0.5; read -r typed; echo got $typed' &\n")
    shell.expect("running")
    shell.type("sleep 1.5; fg\n")
    time.sleep(2.5)
    shell.type("words\n")
    shell.expect("got words")
    shell.expect("status 0 received 0 back True")


def test_in_a_pipeline_the_reader_may_use_the_terminal_and_ctrl_c_ends_both(shell: Shell) -> None:
    shell.type("S 'echo one; exec sleep 20' | (read -r a; read -r b < /dev/tty; echo $a $b; cat)\n")
    time.sleep(1)
    shell.type("two\n")
    shell.expect("one two")
    shell.type("\x03")
    shell.type("echo ${PIPESTATUS[0]} al''ive\n")
    shell.expect("alive")
    assert [line for line in shell.processes() if "sleep 20" in line] == []
