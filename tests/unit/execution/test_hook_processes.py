"""Hooks as real processes of this machine: what they find, what is shown of them, and how they are ended."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.execution import hook_processes
from lvmsnap.execution.hook_processes import HookRunner
from lvmsnap.model.profile import Hooks
from lvmsnap.system.held_signals import Signals
from tests import samples


class Hooked:
    """A runner of hooks with what it said."""

    def __init__(self, timeout_seconds: int = 20) -> None:
        self.signals, self.said = Signals(), list[str]()
        self.runner = HookRunner(self.signals, self.said.append)
        self.target = replace(samples.TARGET, hooks=Hooks(timeout_seconds=timeout_seconds))

    def sh(self, script: str, hook: str = "before_down") -> str:
        return self.runner.run(hook, ("/bin/sh", "-c", script), self.target)


def test_each_line_is_shown_under_the_hooks_name() -> None:
    hooked = Hooked()

    assert hooked.sh("echo one; echo two >&2; echo; printf 'caf\\351 three'") == ""
    assert hooked.said == ["before_down: one", "before_down: two", "before_down: caf\ufffd three"]


def test_a_word_that_no_command_can_have_is_a_failed_hook() -> None:
    hooked = Hooked()

    assert "embedded null byte" in hooked.runner.run("before_down", ("echo", "a\0b"), hooked.target)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ValueError("a bug")])
def test_whatever_is_raised_while_a_hook_runs_it_is_ended_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    hooked = Hooked()

    def fails(*_: object) -> str:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise error

    monkeypatch.setattr(hooked.runner, "_wait", fails)
    with pytest.raises(type(error)):
        hooked.sh(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 60")

    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_output_of_any_length_is_shown_whole() -> None:
    hooked = Hooked()

    assert hooked.sh("seq 1 60000; seq 60001 60002 > /dev/stderr") == ""
    assert hooked.said == [f"before_down: {number}" for number in range(1, 60003)]


def test_a_hook_finds_the_snapshot_in_its_environment_and_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("GIVEN", "by the caller")
    hooked = Hooked()

    assert hooked.sh('echo "$LVMSNAP_PROFILE $LVMSNAP_DEVICE $LVMSNAP_MOUNTPOINT $GIVEN"; cat; command -v ls') == ""
    where = f"/dev/vg0/{samples.SNAPSHOT} {samples.MOUNTPOINT}"
    assert hooked.said[0] == f"before_down: nightly {where} by the caller"
    assert hooked.said[1].endswith("/bin/ls")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 3", "exit 3"),
        ("echo the database is down; echo; exit 3", "exit 3: the database is down"),
        ("kill -9 $$", "SIGKILL"),
    ],
)
def test_a_hook_that_fails_says_how_and_its_last_word(script: str, complaint: str) -> None:
    assert Hooked().sh(script) == complaint


def test_a_program_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    hooked = Hooked()

    wrong = hooked.runner.run("before_down", (f"{tmp_path}/none", "x"), hooked.target)
    assert wrong == f"{tmp_path}/none: No such file or directory"
    assert hooked.said == []


def test_the_time_out_ends_the_hook_and_all_that_it_started(tmp_path: Path) -> None:
    start = time.monotonic()
    wrong = Hooked(timeout_seconds=1).sh(f"echo begun; sleep 30 & echo $! > {tmp_path}/pid; wait")

    assert wrong == "took longer than 1 s: begun"
    assert 1 <= time.monotonic() - start < 5
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_hook_that_ignores_being_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_processes, "GRACE_SECONDS", 0.3)
    start = time.monotonic()

    assert Hooked(timeout_seconds=1).sh("trap '' TERM; while :; do sleep 0.1; done") == "took longer than 1 s"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_before_snapshot(tmp_path: Path, number: int) -> None:
    hooked = Hooked()
    with hooked.signals:
        sender = signal_once_there(tmp_path / "ready", number)
        start = time.monotonic()
        wrong = hooked.sh(f"touch {tmp_path}/ready; exec sleep 20", "before_snapshot")
    sender.join()

    assert wrong == f"stopped by {signal.Signals(number).name}"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("hook", ["after_snapshot", "before_down", "after_down"])
def test_a_signal_ends_no_hook_that_gives_something_back(tmp_path: Path, hook: str) -> None:
    hooked = Hooked()
    with hooked.signals:
        sender = signal_once_there(tmp_path / "ready", signal.SIGTERM)
        wrong = hooked.sh(f"touch {tmp_path}/ready; sleep 0.5; echo given back", hook)
    sender.join()

    assert wrong == ""
    assert hooked.said == [f"{hook}: given back"]


def test_what_a_hook_leaves_running_is_neither_waited_for_nor_ended_nor_cut_off(tmp_path: Path) -> None:
    hooked = Hooked()
    script = f"(sleep 3; echo later; echo $? > {tmp_path}/status) & echo $! > {tmp_path}/pid; echo held"
    start = time.monotonic()

    assert hooked.sh(script, "before_snapshot") == ""
    assert time.monotonic() - start < 2.5
    assert hooked.said == ["before_snapshot: held"]
    wait_until_gone(int((tmp_path / "pid").read_text()))
    assert (tmp_path / "status").read_text() == "0\n"


def test_a_hook_has_no_descriptor_of_lvmsnaps_own(tmp_path: Path) -> None:
    hooked = Hooked()
    with (tmp_path / "lock").open("w") as lock:
        assert lock.fileno() > 2
        assert hooked.sh("ls /proc/self/fd") == ""

    # The directory itself is the fourth.
    assert hooked.said == [f"before_down: {number}" for number in range(4)]


def test_the_time_from_before_to_after_the_snapshot_is_reported() -> None:
    hooked = Hooked()

    hooked.sh("sleep 0.3", "before_snapshot")
    time.sleep(0.3)
    assert hooked.said == []
    hooked.sh("exit 1", "after_snapshot")
    assert hooked.said == []
    hooked.sh("sleep 0.3", "after_snapshot")
    (said,) = hooked.said
    told = re.fullmatch(r"from the start of before_snapshot to the end of after_snapshot: (\d+\.\d) s", said)
    assert told is not None, said
    assert 0.9 <= float(told[1]) < 5


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path("/proc", str(pid), "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def signal_once_there(path: Path, number: int) -> threading.Thread:
    """Send this process a signal once the hook has made the file."""

    def send() -> None:
        while not path.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread
