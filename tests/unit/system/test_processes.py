"""How processes are started: environment, session, output, stalls, and signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from lvmsnap.model.errors import ToolError
from lvmsnap.system import processes
from lvmsnap.system.held_signals import Signals
from lvmsnap.system.processes import Finished, Runner


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def out(code: str) -> str:
    finished = Runner().run(python(code))
    assert finished.ok, finished.complaint
    return finished.stdout.strip()


# --- environment ------------------------------------------------------------------------------------------------------


def test_a_child_gets_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/mine")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("DM_DISABLE_UDEV", "1")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/etc/lvm2")
    monkeypatch.setenv("HOME", "/nowhere")

    assert processes.environment() == {
        "PATH": f"/opt/mine:{processes.SYSTEM_PATH}",
        "LC_ALL": "C",
        "LVM_SUPPRESS_FD_WARNINGS": "1",
        "LVM_SYSTEM_DIR": "/etc/lvm2",
        "HOME": "/nowhere",
    }
    assert "LANGUAGE" not in out("import os; print(dict(os.environ))")


def test_without_dev_null_no_program_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "devnull", "/nowhere/null")

    assert Runner().run(python("")).complaint == "exit 126: /nowhere/null: No such file or directory"
    with pytest.raises(ToolError, match="/nowhere/null is missing") as raised:
        Runner().read(python(""))
    assert "mknod -m 666 /nowhere/null c 1 3" in raised.value.hint


def test_without_a_path_of_the_caller_there_is_still_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")

    assert processes.environment()["PATH"] == processes.SYSTEM_PATH
    assert "/sbin" in processes.SYSTEM_PATH.split(":")


def test_a_program_is_looked_for_on_the_path_that_it_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "fallocate"
    own.write_text("#!/bin/sh\necho mine\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Runner().run(("fallocate",)).stdout == "mine\n"


def test_a_child_has_no_stdin_and_a_session_of_its_own() -> None:
    assert out("import sys; print(repr(sys.stdin.read()))") == "''"
    assert out("import os; print(os.getsid(0) == os.getpid() == os.getpgrp())") == "True"


def test_files_of_a_child_are_not_writable_by_others() -> None:
    before = os.umask(0)
    try:
        assert out("import os; print(oct(os.umask(0)))") == "0o22"
    finally:
        os.umask(before)


def test_a_child_inherits_the_lock_and_nothing_else(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock, (tmp_path / "other").open("w") as other:
        os.set_inheritable(other.fileno(), True)
        working = Runner()
        working.lock_fds = (lock.fileno(),)

        listed = working.run(("sh", "-c", "readlink /proc/self/fd/*"))

    assert f"{tmp_path}/lock" in listed.stdout
    assert f"{tmp_path}/other" not in listed.stdout


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_exit_status_output_and_time_are_reported() -> None:
    finished = Runner().run(("sh", "-c", "echo out; echo bad >&2; exit 5"))

    assert (finished.ok, finished.returncode, finished.stdout, finished.stderr) == (False, 5, "out\n", "bad\n")
    assert finished.complaint == "exit 5: bad"
    assert 0 < finished.seconds < 30


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 3", "exit 3"),
        ("echo x; exit 1", "exit 1: x"),
        ("kill -9 $$", "SIGKILL"),
        ("echo y >&2; kill $$", "SIGTERM: y"),
        ("printf '  x\\n\\n  y\\n' >&2; exit 1", "exit 1: x\n    |   y"),
    ],
)
def test_a_failure_is_reported_in_a_line(script: str, complaint: str) -> None:
    assert Runner().run(("sh", "-c", script)).complaint == complaint


@pytest.mark.parametrize("word", ["a b", "x\ny", "it's\ta \\ \x1b[1m\n", "\u202e\x9ba", "é\n'"])
def test_a_command_is_shown_on_one_line_as_bash_takes_it(word: str) -> None:
    line = processes.shell_line(("printf", "%s", word))

    assert line.isprintable()
    assert Runner().run(("env", "LC_ALL=C.UTF-8", "bash", "-c", line)).stdout == word


def test_a_program_that_is_not_there_is_a_failed_command() -> None:
    finished = Runner().run(("lvmsnap-no-such-program", "x"))

    assert finished.returncode == 127
    assert finished.complaint == "exit 127: lvmsnap-no-such-program: No such file or directory"


def test_a_reading_command_that_fails_is_an_error_unless_its_status_is_accepted() -> None:
    assert Runner().read(("sh", "-c", "exit 5"), accept=(0, 5)).returncode == 5
    with pytest.raises(ToolError, match="cannot read the system: sh -c 'exit 5': exit 5") as caught:
        Runner().read(("sh", "-c", "exit 5"))
    assert "nothing was changed" in caught.value.hint


def test_large_output_on_both_streams_is_read_whole() -> None:
    code = "import sys; sys.stdout.write('o' * 3_000_000); sys.stderr.write('e' * 3_000_000)"

    finished = Runner().run(python(code))

    assert (len(finished.stdout), len(finished.stderr)) == (3_000_000, 3_000_000)


def test_output_that_is_no_utf8_is_no_failure() -> None:
    finished = Runner().run(("printf", r"\377\000\303"))

    assert os.fsencode(finished.stdout) == b"\xff\x00\xc3"
    assert Runner().run(("sh", "-c", r"printf '\377' >&2; exit 1")).complaint == "exit 1: \ufffd"


def test_every_command_is_observed_once() -> None:
    seen: list[Finished] = []

    finished = Runner(observe=seen.append).run(("true",))
    missing = Runner(observe=seen.append).run(("lvmsnap-no-such-program",))

    assert seen == [finished, missing]


def test_a_command_is_reported_as_one_would_paste_it() -> None:
    assert processes.shell_line(("rm", "--", "/a b/it's")) == """rm -- '/a b/it'"'"'s'"""


# --- stalls and signals -----------------------------------------------------------------------------------------------


def test_a_stall_is_reported_and_the_command_left_to_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STALL_SECONDS", 0.1)
    told: list[tuple[tuple[str, ...], float]] = []

    finished = Runner(stalled=lambda argv, seconds: told.append((argv, seconds))).run(("sleep", "0.5"))

    assert finished.ok
    assert [argv for argv, _ in told][:2] == [("sleep", "0.5")] * 2
    assert len(told) <= 4  # at 0.1, 0.2, 0.4: each after twice the time
    assert told[0][1] >= 0.1


def test_a_word_that_no_command_can_have_is_a_failed_command() -> None:
    for word, says in (("a\0b", "embedded null byte"), ("\ud800", "surrogates not allowed")):
        finished = Runner().run(("echo", word))

        assert finished.returncode == 126
        assert says in finished.complaint


def test_who_watches_stops_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STALL_SECONDS", 0.1)

    def fails(*_: object) -> None:
        raise ValueError("a bug")

    assert Runner(observe=fails, stalled=fails).run(("sleep", "0.3")).ok


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), ValueError("a bug")])
def test_whatever_is_raised_the_command_in_flight_ends_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    running = Runner()

    def fails(*_: object) -> tuple[bytes, bytes]:
        raise error

    monkeypatch.setattr(running, "_communicate", fails)

    with pytest.raises(type(error)):
        # More than a pipe takes: with nobody who reads it would never end.
        running.run(("sh", "-c", f"seq 1 60000; sleep 0.3; touch {tmp_path}/ended"))
    assert (tmp_path / "ended").exists()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that sleep, under the names of real ones."""
    for name in ("dd", "fallocate", "lvcreate"):
        (tmp_path / name).write_text("#!/bin/sh\necho started\nexec sleep ${1}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("program", ["dd", "fallocate"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_what_only_fills_the_file(program: str, number: signal.Signals) -> None:
    signals = Signals()

    with signals:
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        finished = Runner(signals=signals).run((program, "30"))

    assert finished.complaint.startswith("SIGTERM")
    assert finished.seconds < 20
    assert signals.name == number.name


@pytest.mark.usefixtures("tools")
def test_a_signal_lets_an_lvm_command_finish() -> None:
    signals = Signals()

    with signals:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        finished = Runner(signals=signals).run(("lvcreate", "0.8"))

    assert finished.ok
    assert finished.seconds >= 0.8
    assert signals.received == signal.SIGTERM


def test_the_first_signal_counts_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    signals = Signals()

    with signals:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)

    assert (signals.received, signals.name) == (signal.SIGHUP, "SIGHUP")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert Signals().name == ""


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "ALRM", "USR1", "USR2", "XCPU"])
def test_what_would_end_lvmsnap_half_way_is_deferred(name: str) -> None:
    number, signals = signal.Signals[f"SIG{name}"], Signals()
    before = signal.signal(number, signal.SIG_DFL)  # a shell starts what is in the background with some ignored
    try:
        with signals:
            os.kill(os.getpid(), number)

        assert signals.received == number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_nohup_had_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = Signals()
    try:
        with signals:
            os.kill(os.getpid(), signal.SIGHUP)
        assert signals.received == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_after_the_bound_no_command_is_started_and_one_in_flight_ends(tmp_path: Path) -> None:
    bounded = Runner(stop_after=0.3)

    first = bounded.run(python(f"import time; time.sleep(0.6); open({str(tmp_path / 'done')!r}, 'w')"))
    second = bounded.run(python(f"open({str(tmp_path / 'never')!r}, 'w')"))

    assert first.ok
    assert (second.ok, second.complaint) == (False, "exit 126: not started: the time set by --stop-after is over")
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
    with pytest.raises(ToolError) as not_read:
        bounded.read(python("print()"))
    assert not_read.value.message == "the system was not read: the time set by --stop-after is over"
    assert not_read.value.hint == "nothing was changed; give it more time"


# --- a secret on stdin ------------------------------------------------------------------------------------------------


def test_a_secret_comes_by_stdin_alone_and_nobody_who_watches_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(processes, "STALL_SECONDS", 0.1)
    runner = Runner(seen.append, lambda argv, _: seen.append(argv))

    finished = runner.run(
        python("import sys, time; time.sleep(0.5); print(len(sys.stdin.buffer.read()))"), b"gr\xfc\xdf\n"
    )

    assert finished.stdout == "5\n"
    assert len(seen) >= 2
    assert "gr\\xfc" not in repr(seen)


def test_a_command_that_reads_no_secret_fails_by_itself_alone() -> None:
    assert Runner().run(("true",), b"x" * (1 << 20)).returncode == 0
    assert Runner().run(("/nowhere/program",), b"x").returncode == processes.NOT_FOUND


def test_nobody_hears_of_a_command_before_the_time_in_which_nothing_may_be_written_is_over() -> None:
    heard: list[tuple[str, ...]] = []
    runner = Runner(observe=lambda finished: heard.append(finished.argv))

    with runner.unheard():
        runner.run(("true",))
        runner.run(("false",))
        assert heard == []
    assert heard == [("true",), ("false",)]
    runner.run(("true",))
    assert len(heard) == 3


def test_a_copy_of_the_process_does_its_work_and_ends() -> None:
    reading, writing = os.pipe()

    def work() -> None:
        os.write(writing, b"done")

    pid = processes.fork(work)

    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reading, 10) == b"done"
    os.close(reading)
    os.close(writing)
