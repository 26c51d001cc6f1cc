"""The command line as a whole process: exit codes, messages, what goes to stdout and what to stderr, speed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest
import yaml

from lvmsnap.cli import arguments, parser
from lvmsnap.execution import records
from lvmsnap.operations import status
from lvmsnap.planning.state import State, Status
from lvmsnap.profile import loading as profiles
from tests import TOP, samples

ROOT = TOP
PROFILE = ROOT / "profiles/system-full-vg.yaml"
COMMANDS = (
    *("plan", "up", "down", "run", "watch", "status", "recover", "validate", "init", "schema"),
    *("install-boot", "install-units"),
)
BAD = "volumes:\n  - origin: vg0/system\n    sise: 4GiB\n    size: 4GB\nmore: 1\n"


@dataclass(frozen=True)
class Done:
    """How a run of lvmsnap ended."""

    returncode: int
    stdout: str
    stderr: str


def lvmsnap(*arguments: str) -> Done:
    """Run lvmsnap in this process, since a process of its own costs a good part of a second."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = parser.main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def process(*arguments: str, stdout: int | IO[str] = subprocess.PIPE, **environment: str) -> Done:
    """Run lvmsnap as a process of its own, with nothing but `environment`."""
    run = [sys.executable, "-m", "lvmsnap", *arguments]
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(run, env=given, cwd="/", stdout=stdout, stderr=subprocess.PIPE, check=False)
    return Done(done.returncode, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace"))


@pytest.fixture(autouse=True)
def _at_the_projects_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LVMSNAP_PROFILE_DIR", raising=False)


def profile(directory: Path, name: str, text: str) -> str:
    path = directory / f"{name}.yaml"
    path.write_text(text)
    return str(path)


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_every_help_is_there(arguments: list[str]) -> None:
    done = lvmsnap(*arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: lvmsnap")
    assert "--wait SECONDS" in done.stdout


def test_the_help_names_every_command_and_exit_code() -> None:
    told = lvmsnap("--help").stdout

    assert [command for command in COMMANDS if f"\n    {command} " not in told] == []
    assert "exit codes:" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["plan"], "required: NAME"),
        (["plan", "x", "--fast"], "unrecognized arguments: --fast"),
        (["up", "x", "--replace", "--if-down"], "not allowed with"),
        (["plan", "x", "--wait", "-1"], "--wait"),
        (["plan", "x", "--wait", "nan"], "--wait"),
        (["plan", "x", "--wait", "inf"], "--wait"),
        (["plan", "x", "--wait", "soon"], "--wait"),
        (["-q", "-v", "status"], "not allowed with"),
        (["plan", "x", "--offline", "--down"], "makes no sense"),
        (["init", "vg0"], "is not of the form VG/LV"),
        (["init", "vg0/-x"], "begins with a dash"),
        (["plan", "--offline", "NoName"], "is not the name of a profile"),
        (["plan", "--offline", "./none.yaml"], "there is no file ./none.yaml"),
        (["--profile-dir", "profiles", "plan", "--offline", "sytem"], "did you mean system?"),
        (["validate", "--profile-dir", "tests/unit/golden"], "there are no profiles in tests/unit/golden"),
    ],
)
def test_wrong_usage_is_exit_2_and_told_on_stderr(arguments: list[str], says: str) -> None:
    done = lvmsnap(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "_seconds" not in done.stderr


NO_NAMES = (
    *("", "a\nb", "A", "_x", "lock", "a" * 65, "x.yml", "../../../mnt/u/evil", "/etc/lvmsnap/x", "x/", "x\n"),
    *("n\xe4chtlich", ".yaml", "/srv/Big.yaml", "/srv/lock.yaml", "/srv/a\nb.yaml"),
)


@pytest.mark.parametrize(
    "command",
    [
        *("plan", "plan --offline", "plan --down", "up", "up --dry-run", "up --if-down", "watch", "run"),
        *("down", "down --force", "down --dry-run", "status", "status --json", "status good", "recover"),
        *("recover --dry-run", "recover good", "install-units --status", "install-units --remove", "validate"),
        "install-units",
    ],
)
def test_what_is_no_name_is_exit_2_in_every_command_before_anything_is_read(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))
    monkeypatch.setattr(records, "read", lambda *_: pytest.fail("a record was read"))
    profile(tmp_path, "good", "volumes: [{origin: vg0/system}]\n")
    tail = ("--", "true") if command in ("run", "install-units") else ()

    for name in NO_NAMES:
        done = lvmsnap("--profile-dir", str(tmp_path), *command.split(), name, *tail)

        assert (done.returncode, done.stdout) == (2, ""), name
        assert "is not the name of a profile" in done.stderr


def test_the_longest_name_is_one(tmp_path: Path) -> None:
    path = profile(tmp_path, "a" * 64, "volumes: [{origin: vg0/system, snapshot: snap}]\n")

    assert lvmsnap("validate", path).returncode == 0


@pytest.mark.parametrize("command", ["up", "plan", "plan --down", "run", "down", "status", "recover", "watch"])
def test_a_path_is_refused_while_its_name_is_another_files(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = replace(samples.record(), profile_path=str(tmp_path / "elsewhere/nightly.yaml"))
    monkeypatch.setattr(records, "read", lambda _name: written)
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))
    path = profile(tmp_path, "nightly", "volumes: [{origin: vg0/system}]\n")

    done = lvmsnap(*command.split(), path, *(("--", "true") if command == "run" else ()))

    assert (done.returncode, done.stdout) == (125 if command == "run" else 3, "")
    assert f"nightly was brought up from {written.profile_path}, not from {path}" in done.stderr


def test_a_path_is_taken_where_its_record_was_written_for_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path = profile(tmp_path, "nightly", "volumes: [{origin: vg0/system}]\n")
    for known in (path, f"{tmp_path}/link/nightly.yaml", "nightly.yaml"):
        monkeypatch.setattr(records, "read", lambda _name, known=known: replace(samples.record(), profile_path=known))
        assert arguments.place(Namespace(), path) == ("nightly", str(tmp_path))


def test_status_shows_the_others_and_is_exit_2_where_a_name_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Status("nightly", State.DOWN, "vg0/x")
    found = (there, Status("nope", State.DOWN, problem="there is no profile of this name in /etc/lvmsnap"))
    monkeypatch.setattr(status, "statuses", lambda *_: found)

    done = lvmsnap("status", "--json", "nightly", "nope")

    assert done.returncode == 2
    assert [state["name"] for state in json.loads(done.stdout)] == ["nightly", "nope"]
    assert "error: there is no profile nope\n" in done.stderr


@pytest.mark.parametrize("arguments", [["down", "x"], ["status"], ["recover"]])
def test_what_needs_root_is_refused_to_others(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    done = lvmsnap(*arguments)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"sudo lvmsnap {' '.join(arguments)}" in done.stderr


# --- validate, schema, init -------------------------------------------------------------------------------------------


def test_validate_tells_every_mistake_of_every_file_at_once(tmp_path: Path) -> None:
    first, second = profile(tmp_path, "first", BAD), profile(tmp_path, "second", "volumes: []\n")
    good = profile(tmp_path, "good", "volumes: [{origin: vg0/system}]\n")
    missing = str(tmp_path / "missing.yaml")

    done = lvmsnap("validate", first, missing, good, second)

    assert done.returncode == 2
    assert done.stdout == f"{good}: valid\n"
    places = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [place.removesuffix(":").removeprefix(f"{tmp_path}/") for place in places[:3]] == [
        *("first.yaml:3:5", "first.yaml:4:11", "first.yaml:5:1")
    ]
    assert missing in done.stderr
    assert f"{second}:1:10" in done.stderr


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """The sample profiles in a directory of our own."""
    folder = tmp_path / "profiles"
    folder.mkdir(mode=0o755)
    for path in (ROOT / "profiles").glob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
        (folder / path.name).chmod(0o644)
    return str(folder)


def test_validate_takes_the_whole_profile_directory_by_default(directory: str) -> None:
    done = lvmsnap("validate", "--profile-dir", directory)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": valid\n") == len(list((ROOT / "profiles").glob("*.yaml")))
    assert lvmsnap("validate", "-q", "--profile-dir", directory).stdout == ""


ONE = "volumes: [{origin: vg0/root}]\n"
SET = "volumes: [{origin: vg0/root}, {origin: vg0/home}]\nconsistent: false\n"


@pytest.mark.parametrize(
    ("text", "is_moved"),
    [(SET, True), (f"{ONE}include: [/boot]\n", True), (ONE, False)],
)
def test_validate_says_that_a_tree_has_its_volumes_elsewhere_than_one_alone_is(
    text: str, is_moved: bool, tmp_path: Path
) -> None:
    path = profile(tmp_path, "server", text)

    done = lvmsnap("validate", path)

    assert (done.returncode, done.stdout.startswith(f"{path}: valid\n")) == (0, True)
    assert (f"\n{path}: note: its volumes are below /run/lvmsnap/server " in done.stdout) is is_moved
    assert lvmsnap("validate", "-q", path).stdout == ""


def test_validate_names_the_files_that_are_no_profiles_for_their_names(directory: str) -> None:
    for name in ("My Backup.yaml", "home.yml", ".home.yaml.swp", "notes.txt", "home.yaml~"):
        Path(directory, name).write_text("volumes: [{origin: vg0/root}]\n")

    done = lvmsnap("validate", "--profile-dir", directory)

    assert done.returncode == 2
    assert f"error: {directory}/My Backup.yaml: 'My Backup' is not the name of a profile" in done.stderr
    assert f"error: {directory}/home.yml: its name must end in .yaml" in done.stderr
    assert done.stderr.count("error: ") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="up would refuse it to anybody else anyway")
def test_validate_refuses_by_its_name_what_up_refuses_and_takes_a_path_as_it_is(directory: str) -> None:
    path = Path(directory, "system.yaml")
    path.chmod(0o666)

    by_name = lvmsnap("validate", "--profile-dir", directory, "system")

    assert by_name.returncode == 2
    assert "writable by others than root (mode 0666)" in by_name.stderr
    assert lvmsnap("validate", str(path)).returncode == 0


def test_schema_prints_the_schema() -> None:
    done = lvmsnap("schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads((ROOT / "schema/profile.schema.json").read_text())


@pytest.mark.parametrize("origin", ["vg0/system", "/dev/vg0/system", "a-b+c/x.y_z"])
def test_init_prints_a_profile_that_is_valid(origin: str, tmp_path: Path) -> None:
    first = lvmsnap("init", origin)

    path = profile(tmp_path, "first", first.stdout)

    assert first.returncode == 0
    assert f"- origin: {origin.removeprefix('/dev/')}\n" in first.stdout
    assert lvmsnap("validate", path).stdout == f"{path}: valid\n"


def test_what_init_proposes_in_comments_is_valid_too(tmp_path: Path) -> None:
    first = lvmsnap("init", "vg0/root").stdout
    whole = re.sub(r"(?m)^( *)# (?=( *)[a-z_]+: |[a-z_]+:$)", r"\1", first)

    path = profile(tmp_path, "first", whole)

    assert {"backing_file", "hooks", "volumes"} < set(yaml.safe_load(whole))
    assert yaml.safe_load(whole)["volumes"][0]["mountpoint"] == "/media/snapshot"
    assert lvmsnap("validate", path).stdout == f"{path}: valid\n"


# --- plan --offline ---------------------------------------------------------------------------------------------------


def test_an_offline_plan_needs_neither_root_nor_any_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))

    done = lvmsnap("plan", "--offline", str(PROFILE))

    assert (done.returncode, done.stderr) == (0, "")
    assert "offline: a clean system is assumed" in done.stdout
    assert "$ lvcreate --yes --snapshot" in done.stdout


def test_an_offline_plan_as_json_has_every_command() -> None:
    done = process("plan", "--offline", "--json", str(PROFILE), PATH="/nonexistent")

    plan = json.loads(done.stdout)
    assert [line.split()[0] for action in plan["actions"] for line in action["do"]] == [
        *("sh", "sh", "losetup", "pvcreate", "vgextend", "lvcreate", "mount")
    ]
    assert plan["direction"] == "up"
    assert plan["target"]["name"] == "system-full-vg"


def test_an_offline_plan_of_an_invalid_profile_is_exit_2(tmp_path: Path) -> None:
    done = lvmsnap("plan", "--offline", profile(tmp_path, "bad", BAD))

    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean size?" in done.stderr


@pytest.mark.parametrize("suffix", ["svg", "html", "txt"])
def test_an_export_is_written_and_nothing_printed(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"plan.{suffix}"

    done = lvmsnap("plan", "--offline", str(PROFILE), "--export", str(file))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "lvcreate" in file.read_text().replace("&#160;", " ")


def test_an_export_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    wrong_name = lvmsnap("plan", "--offline", str(PROFILE), "--export", str(tmp_path / "plan.pdf"))
    no_folder = lvmsnap("plan", "--offline", str(PROFILE), "--export", str(tmp_path / "none/plan.svg"))

    assert wrong_name.returncode == 2
    assert ".svg, .html or .txt" in wrong_name.stderr
    assert no_folder.returncode != 0
    assert "No such file or directory" in no_folder.stderr
    assert "Traceback" not in wrong_name.stderr + no_folder.stderr


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["schema"], ["plan", "--offline", str(PROFILE)]])
def test_a_reader_that_goes_away_is_no_error_message(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)

    done = process(*arguments, stdout=write)

    os.close(write)
    assert done == Done(141, "", "")


PLAN = f"plan --offline {PROFILE}"
# The output is the work.
PRINTING = ("schema", "--help", "init vg0/system", PLAN, f"{PLAN} --json", f"validate {PROFILE}")


def shell(line: str) -> Done:
    """Run a shell line in which $L is lvmsnap, as a script of root's would."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["bash", "-c", line.replace("$L", f"{sys.executable} -m lvmsnap")], env=given, capture_output=True, check=False
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


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


def test_names_beyond_ascii_are_printed_in_any_locale(tmp_path: Path) -> None:
    text = "volumes: [{origin: vg0/system, mountpoint: /media/schnäppchen}]\n"

    done = process("plan", "--offline", profile(tmp_path, "x", text), LC_ALL="POSIX", PYTHONUTF8="0")

    assert (done.returncode, done.stderr) == (0, "")
    assert "/media/schn" in done.stdout


def test_an_unforeseen_error_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
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
