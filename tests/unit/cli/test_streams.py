"""The command line where its streams are closed, full, or read by nobody; and how long it takes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lvmsnap.profile import loading as profiles
from tests.unit.cli.calling import BAD, PLAN, PROFILE, ROOT, Done, lvmsnap, process, profile, shell

# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["schema"], ["plan", "--offline", str(PROFILE)]])
def test_a_reader_that_goes_away_is_no_error_message(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)

    done = process(*arguments, stdout=write)

    os.close(write)
    assert done == Done(141, "", "")


# The output is the work.
PRINTING = ("schema", "--help", PLAN, f"{PLAN} --json", f"validate {PROFILE}")


@pytest.mark.parametrize("command", PRINTING)
def test_what_cannot_be_printed_is_not_done(command: str) -> None:
    full, closed = shell(f"$L {command} >/dev/full"), shell(f"$L {command} >&-")
    nothing_to_tell_it_to = shell(f"$L {command} >&- 2>&- <&-")

    assert full == Done(1, "", "error: No space left on device: standard output\n")
    assert closed == Done(1, "", "error: Bad file descriptor: standard output\n")
    assert nothing_to_tell_it_to == Done(1, "", "")


@pytest.mark.parametrize("command", PRINTING)
def test_a_closed_stdin_or_stderr_changes_nothing(command: str) -> None:
    usual = shell(f"$L {command}")

    for how in ("2>/dev/full", "<&- 2>&-"):
        assert shell(f"$L {command} {how}") == usual
    assert (usual.returncode, usual.stderr) == (0, "")


@pytest.mark.parametrize("asked", ["--help", "--version", "up --help"])
def test_a_help_that_cannot_be_printed_has_failed(asked: str) -> None:
    assert shell(f"$L {asked} >/dev/full") == Done(1, "", "error: No space left on device: standard output\n")


def test_what_is_wrong_is_the_exit_code_whoever_can_read_it(tmp_path: Path) -> None:
    bad = profile(tmp_path, "bad", BAD)

    for how in (">&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"):
        assert shell(f"$L validate {bad} {PROFILE} {how}").returncode == 2, how
        assert shell(f"$L plan --offline nope {how}").returncode == 2, how
        assert shell(f"$L fly {how}").returncode == 2, how


def test_no_file_of_ours_becomes_a_standard_stream() -> None:
    script = "import os; from lvmsnap.system import streams; streams.prepare(); print(os.open('/', 0), flush=True)"
    line = f'{sys.executable} -c "{script}"'

    assert shell(f"{line} <&- 2>&-").stdout == "3\n"
    # A child has all three, and can write to those that were closed.
    child = "import os; from lvmsnap.system import streams; streams.prepare(); "
    child += "os.execvp('sh', ['sh', '-c', os.environ['C']])"
    line = f"C='echo x && echo y >&2 && cat && echo good >&9' {sys.executable} -c \"{child}\""
    assert shell(f"{line} 9>&1 <&- >&- 2>&-") == Done(0, "good\n", "")


def test_a_closed_stdin_has_nothing_to_read_and_is_no_terminal() -> None:
    script = (
        "import sys; from lvmsnap.system import streams; streams.prepare(); print(sys.stdin.isatty(), sys.stdin.read())"
    )

    assert shell(f'{sys.executable} -c "{script}" <&-') == Done(0, "False \n", "")


@pytest.mark.parametrize("how", [">&-", ">/dev/full", "<&- >&- 2>&-"])
def test_what_a_change_ended_in_is_no_failure_where_nobody_can_have_it(how: str) -> None:
    script = "from lvmsnap.system import streams; streams.prepare(); streams.answer('/run/x'); streams.answer('y')"

    assert shell(f'{sys.executable} -c "{script}" {how}') == Done(0, "", "")


def test_file_names_are_utf_8_in_any_locale(tmp_path: Path) -> None:
    text = "volumes: [{origin: vg0/system, mountpoint: /media/schnäppchen}]\n"
    path = profile(tmp_path, "x", text)

    done = process("plan", "--offline", path, LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    closed = shell(f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 $L plan --offline {path} >&-")

    assert (done.returncode, done.stderr) == (0, "")
    assert "umount -- /media/schnäppchen\n" in done.stdout.replace("'", "")
    assert (closed.returncode, closed.stderr) == (1, "error: Bad file descriptor: standard output\n")


def test_an_unforeseen_error_is_reported_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise RecursionError("too deep")

    monkeypatch.setattr(profiles, "schema_text", fails)

    done = lvmsnap("schema")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: an internal error of lvmsnap: RecursionError: too deep\n")
    assert "please report it" in done.stderr


# --- speed ------------------------------------------------------------------------------------------------------------


def test_validate_takes_less_than_twice_the_time_of_its_imports() -> None:
    imports = [sys.executable, "-c", "import yaml, jsonschema"]
    validate = [sys.executable, "-m", "lvmsnap", "validate", str(PROFILE)]

    def seconds(command: list[str]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time, in turn, and the best of each: a busy machine is as hard on one as on the other.
    rounds = [(seconds(imports), seconds(validate)) for _ in range(4)]
    of_imports, of_validate = (min(times) for times in zip(*rounds, strict=True))

    assert of_validate < 2 * of_imports


def test_a_parent_that_ignores_the_end_of_its_children_hides_no_failed_command(tmp_path: Path) -> None:
    # It is inherited, and the kernel then keeps no exit status: wait(2).
    (tmp_path / "lvm").write_text("#!/bin/sh\necho broken >&2\nexit 5\n")
    (tmp_path / "lvm").chmod(0o755)
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignoring, sys.executable, "-m", "lvmsnap", "status"]

    done = subprocess.run(command, cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)

    assert "exit 5" in done.stderr
    assert done.returncode != 0
