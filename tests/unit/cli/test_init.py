"""`lvmsnap init` as a person meets it: the list, the choice, what a volume may be called, the file that is written."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lvmsnap.cli import parser
from lvmsnap.model.errors import ToolError
from lvmsnap.model.facts import Facts
from lvmsnap.profile import loading
from lvmsnap.system import block_devices, reading
from tests import samples
from tests.unit.cli.calling import Done, lvmsnap, profile
from tests.unit.cli.first_machine import init
from tests.unit.cli.seen import Terminal

pytestmark = pytest.mark.usefixtures("facts")


# --- the list ---------------------------------------------------------------------------------------------------------


def test_without_a_volume_and_a_terminal_it_lists_what_could_be_snapshotted() -> None:
    done = init()

    assert done.returncode == 0
    assert done.stdout == (
        "VOLUME      SIZE    HOLDS       MOUNTED AT   FREE IN GROUP\n"
        "vg0/system  10 GiB  ext4        /srv/system  7.812 GiB\n"
        "vg0/home    20 GiB  btrfs       /srv/bt      7.812 GiB\n"
        "vg0/da-ta   10 GiB  LUKS: ext4  /srv/data    7.812 GiB\n"
    )
    assert done.stderr == (
        "not offered: vg0/swap (swap), vg0/pool (a thin pool)\n"
        "next: lvmsnap init vg0/system --write NAME\n"
        "        makes a profile; several volumes make one, all of one instant\n"
    )
    assert init("-q").stderr == ""


def test_a_list_for_nobody_who_may_see_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "is_root", lambda: False)

    done = init()

    assert (done.returncode, done.stdout) == (3, "")
    assert "only root may read LVM's state" in done.stderr
    assert "sudo lvmsnap init" in done.stderr

    monkeypatch.setattr(reading, "is_root", lambda: True)
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: replace(samples.facts(), vgs=()))
    assert "what to do: lvmsnap init VG/LV" in init().stderr


def typed(monkeypatch: pytest.MonkeyPatch, keys: str, *arguments: str) -> Done:
    """Run init on a terminal on which these keys are typed."""
    out, err = Terminal(), Terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdin", Terminal(keys))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    code = parser.main(("init", *arguments))
    return Done(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ("1\n", ["vg0/system"]),
        ("vg0/home\n", ["vg0/home"]),
        ("/srv/data\n", ["vg0/da-ta"]),
        ("1, 3\n", ["vg0/system", "vg0/da-ta"]),
        ("1 vg0/system 1\n", ["vg0/system"]),
        ("9\nvg0/sytem\n2\n", ["vg0/home"]),
    ],
)
def test_on_a_terminal_one_chooses_by_number_or_name(
    keys: str, chosen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = typed(monkeypatch, keys)

    assert done.returncode == 0
    assert "  1  vg0/system  10 GiB" in done.stdout
    assert [line.split()[-1] for line in done.stdout.splitlines() if "- origin: " in line] == chosen


def test_an_input_that_was_read_from_before_is_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    sys.stdin.readline()

    assert parser.main(["init", "vg0/system"]) == 0


def test_an_answer_that_is_no_text_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n\xff\n\xff\n"), encoding="utf-8"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", err := Terminal())

    assert parser.main(["init"]) == 2
    assert "internal error" not in err.getvalue()


def test_what_is_no_answer_is_said_so_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done = typed(monkeypatch, "4\nvg0/sytem\nnothing\n")

    assert done.returncode == 2
    assert "there is no volume 4; choose 1 to 3" in done.stderr
    assert "there is no volume vg0/sytem; did you mean vg0/system?" in " ".join(done.stderr.split())
    assert "origin:" not in done.stdout


@pytest.mark.parametrize("keys", ["\n", ""])
def test_nothing_is_an_answer_too(keys: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    done = typed(monkeypatch, keys, "--write", "nightly", "--profile-dir", str(folder))

    assert done.returncode == 0
    assert "origin:" not in done.stdout
    assert not folder.exists()
    next_step = f"next: lvmsnap init --profile-dir {folder} vg0/system --write nightly"
    assert next_step in " ".join(done.stderr.split())
    assert ("none: \nnext" in done.stderr) == (not keys), "the terminal shows Enter itself, and Ctrl-D not"


def test_what_was_chosen_is_written_too(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    done = typed(monkeypatch, "1\n", "--write", "nightly", "--profile-dir", str(folder))

    assert done.returncode == 0
    assert "- origin: vg0/system\n" in (folder / "nightly.yaml").read_text()


def test_write_without_a_volume_and_a_terminal_is_wrong(folder: Path) -> None:
    done = init("--write", "nightly", folder=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert "lvmsnap init VG/LV --write nightly" in done.stderr


@pytest.mark.parametrize("words", [[], ["vg0/system"]])
def test_what_cannot_be_printed_is_not_done(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", err)
        code = parser.main(("init", *words))
        monkeypatch.undo()

    assert (code, err.getvalue()) == (1, "error: No space left on device: standard output\n")


# --- what a volume may be called --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "origin"),
    [
        ("vg0/system", "vg0/system"),
        ("/dev/vg0/system", "vg0/system"),
        ("/dev/mapper/vg0-system", "vg0/system"),
        ("/dev/mapper/vg0-da--ta", "vg0/da-ta"),
        ("/srv/system", "vg0/system"),
        ("/srv/system/", "vg0/system"),
        ("/srv/bt", "vg0/home"),
        ("/srv/data", "vg0/da-ta"),
    ],
)
def test_a_volume_is_known_by_its_name_its_device_and_its_mountpoint(word: str, origin: str) -> None:
    done = init(word)

    assert done.returncode == 0
    assert f"  - origin: {origin}\n" in done.stdout
    assert done.stderr.startswith(f"next: lvmsnap init {origin} --write NAME")


@pytest.mark.parametrize(("number", "origin"), [("254:0", "vg0/system"), ("254:10", "vg0/da-ta")])
def test_any_link_to_its_device_will_do(number: str, origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_devices, "number_at", lambda _: number)

    assert f"  - origin: {origin}\n" in init("/dev/disk/by-label/x").stdout


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("vg0/sytem", "there is no volume vg0/sytem\n  what to do: did you mean vg0/system?"),
        ("vgo/system", "there is no volume group vgo\n  what to do: did you mean vg0/system?"),
        ("home", "home is not of the form VG/LV\n  what to do: did you mean vg0/home?"),
        ("/dev/vg0/hone", "there is no volume vg0/hone\n  what to do: did you mean vg0/home?"),
        ("/dev/mapper/vg0-hone", "there is no volume vg0/hone\n  what to do: did you mean vg0/home?"),
        ("/srv/sytem", "nothing is mounted at /srv/sytem\n  what to do: did you mean /srv/system?"),
        ("/srv/disk", "/dev/sdb1, mounted at /srv/disk, is not a logical volume\n"),
        ("/srv/system/a/b", "nothing is mounted at /srv/system/a/b, which is in /srv/system\n"),
        ("", "lvmsnap init lists the volumes"),
    ],
)
def test_an_unknown_one_is_an_error_with_the_nearest_name(word: str, said: str) -> None:
    done = init(word)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_device_that_is_no_volume_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_devices, "number_at", lambda _: "8:1")

    assert "/dev/sda1 is not a logical volume" in init("/dev/sda1").stderr


@pytest.mark.parametrize("word", ["vg0/pool", "vg0/pool_tdata", "vg0/system-lvmsnap-other"])
def test_what_cannot_be_snapshotted_is_refused_with_the_reason(word: str) -> None:
    done = init("vg0/system", word)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"FAIL  {word} cannot be snapshotted: it is a" in done.stderr


def test_several_volumes_are_one_profile_each_once() -> None:
    done = init("vg0/system", "/srv/data", "/dev/vg0/system")

    assert [line for line in done.stdout.splitlines() if "origin:" in line] == [
        *("  - origin: vg0/system", "  - origin: vg0/da-ta")
    ]


# --- where nothing can be looked at -----------------------------------------------------------------------------------


@pytest.fixture(params=["not root", "no LVM", "no group"])
def _blind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, facts: Facts) -> None:
    def broken(*_: object, **__: object) -> Facts:
        raise ToolError("lvm: No such file or directory")

    if request.param == "not root":
        monkeypatch.setattr(reading, "is_root", lambda: False)
    else:
        monkeypatch.setattr(reading, "read_system", broken)
    if request.param == "no group":
        monkeypatch.setattr(reading, "read_system", lambda *_, **__: replace(facts, vgs=()))


@pytest.mark.usefixtures("_blind")
@pytest.mark.parametrize(
    "words", [["vg9/other"], ["/dev/mapper/vg9-o--ther"], ["/srv/system"], ["vg0/root", "vg0/home"]]
)
def test_a_template_is_printed_and_what_could_not_be_looked_at_is_said(words: list[str]) -> None:
    done = init(*words)

    assert done.returncode == 0
    assert done.stderr.startswith("warning: this machine could not be examined: ")
    read = loading.parse(done.stdout, name="x", file="x")
    assert [one.path for one in read.volumes] == {
        "vg9/other": ["vg9/other"],
        "/dev/mapper/vg9-o--ther": ["vg9/o-ther"],
        "/srv/system": ["vg0/system"],
        "vg0/root": ["vg0/root", "vg0/home"],
    }[words[0]]


@pytest.mark.usefixtures("_blind")
def test_what_a_template_proposes_in_comments_is_valid_too(tmp_path: Path) -> None:
    first = lvmsnap("init", "vg0/root").stdout
    whole = re.sub(r"(?m)^( *)# (?=( *)[a-z_]+: |[a-z_]+:$)", r"\1", first)

    path = profile(tmp_path, "first", whole)

    assert {"backing_file", "hooks", "volumes"} < set(yaml.safe_load(whole))
    assert yaml.safe_load(whole)["volumes"][0]["mountpoint"] == "/media/snapshot"
    assert lvmsnap("validate", path).stdout == f"{path}: valid\n"


@pytest.mark.usefixtures("_blind")
@pytest.mark.parametrize(
    ("word", "says"), [("vg0", "is not of the form VG/LV"), ("vg0/-x", "begins with a dash"), ("vg0/", "is empty")]
)
def test_a_template_is_made_for_no_volume_that_cannot_be(word: str, says: str) -> None:
    done = init(word)

    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_nothing_is_no_volume_as_from_a_variable_that_is_not_set() -> None:
    done = init("")

    assert (done.returncode, done.stdout) == (2, "")
    assert "'' is not of the form VG/LV" in done.stderr


@pytest.mark.usefixtures("_blind")
def test_a_template_is_written_under_its_name(folder: Path) -> None:
    done = init("vg0/root", "--write", "nightly", folder=folder)

    assert done.returncode == 0
    assert "default: /run/lvmsnap/nightly\n" in (folder / "nightly.yaml").read_text()
    assert "NAME" not in (folder / "nightly.yaml").read_text()


@pytest.mark.usefixtures("_blind")
def test_without_a_look_a_place_that_names_no_volume_is_an_error() -> None:
    done = init("/srv/data")

    assert (done.returncode, done.stdout) == (2, "")
    assert "give it as VG/LV" in done.stderr
