"""The command line as a whole: usage, names, exit codes, messages, what goes to stdout and what to stderr."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lvmsnap.cli import arguments, parser, usage
from lvmsnap.execution import records
from lvmsnap.operations import status
from lvmsnap.planning.state import State, Status
from tests import samples
from tests.unit.cli.calling import COMMANDS, lvmsnap, profile

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
        (["up", "x", "--replace", "--if-down"], "not allowed with"),
        (["plan", "x", "--wait", "-1"], "--wait"),
        (["plan", "x", "--wait", "nan"], "--wait"),
        (["status", "--output", ""], "argument --output: it is empty"),
        (["--profile-dir", "", "status"], "argument --profile-dir: it is empty"),
        (["recover", "--from-host", ""], "argument --from-host: it is empty"),
        (["help", "first-profil"], "did you mean first-profile? The pages: "),
        (["help", "PLAN"], "did you mean plan? "),
        (["schema", "x"], "lvmsnap schema [OPTION...]; "),
        (["plan", "x", "--wait", "inf"], "--wait"),
        (["plan", "x", "--wait", "soon"], "--wait"),
        (["-q", "-v", "status"], "not allowed with"),
        (["plan", "x", "--offline", "--down"], "cannot be combined"),
        (["plan", "--offline", "NoName"], "is not the name of a profile"),
        (["plan", "--offline", "./none.yaml"], "there is no file ./none.yaml"),
        (["--profile-dir", "profiles", "plan", "--offline", "sytem"], "did you mean system?"),
        (["validate", "--profile-dir", "tests/unit/model"], "there are no profiles in tests/unit/model"),
    ],
)
def test_wrong_usage_is_exit_2_and_reported_on_stderr(arguments: list[str], says: str) -> None:
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
        *("plan", "plan --offline", "plan --down", "up", "up --dry-run", "up --if-down", "watch", "run", "hold"),
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


@pytest.mark.parametrize("command", ["up", "plan", "plan --down", "run", "down", "status", "recover", "watch", "hold"])
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
    assert [state["name"] for state in json.loads(done.stdout)["profiles"]] == ["nightly", "nope"]
    assert "error: there is no profile nope\n" in done.stderr


@pytest.mark.parametrize("command", [["watch"], ["hold", "--check"]])
def test_a_name_that_is_nobodys_is_said_so_and_not_that_it_is_not_up(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    profile(tmp_path, "nightly", "volumes: [{origin: vg0/system}]\n")

    done = lvmsnap("--profile-dir", str(tmp_path), *command, "nightlyy")

    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no profile nightlyy\n  what to do: did you mean nightly?")


@pytest.mark.parametrize("name", ["nope", "No Name", ".yaml"])
def test_validate_names_what_it_was_given_once(name: str, tmp_path: Path) -> None:
    (error, *_) = lvmsnap("--profile-dir", str(tmp_path), "validate", name).stderr.splitlines()

    assert error.count(name) == 1


def test_a_path_is_not_taken_for_a_volume() -> None:
    assert "volume" not in lvmsnap("plan", "../x").stderr
    assert "lvmsnap init vg0/x" in lvmsnap("plan", "vg0/x").stderr


def test_what_is_to_be_called_as_root_is_the_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = profile(tmp_path, "nightly", "volumes: [{origin: vg0/system}]\n")

    for words in (
        ("run", "--replace", path, "--", "sh", "-c", "true; true"),
        ("-v", "up", path, "--replace"),
        ("status", "--history"),
        ("install-units", "nightly", "--", "true"),
    ):
        assert f"what to do: sudo lvmsnap {shlex.join(words)}\n" in lvmsnap(*words).stderr


@pytest.mark.parametrize("arguments", [["down", "x"], ["status"], ["recover"]])
def test_what_needs_root_is_refused_to_others(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    done = lvmsnap(*arguments)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"sudo lvmsnap {' '.join(arguments)}" in done.stderr


def test_only_the_given_command_has_its_options_made_however_argparse_asks_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []

    class Counted(usage.Parser):
        def __init__(self, prog: str, **named: Any) -> None:
            made.append(prog)
            super().__init__(prog, **named)

    monkeypatch.setattr(usage, "Parser", Counted)

    assert parser.parse(["up", "nightly"]).name == "nightly"
    assert made == ["lvmsnap", "lvmsnap up"]
