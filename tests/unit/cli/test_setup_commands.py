"""validate, schema and plan --offline as a person meets them: exit codes, messages, what goes to stdout."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lvmsnap.profile import loading
from tests.unit.cli.calling import BAD, PROFILE, ROOT, lvmsnap, process, profile

# --- validate, schema -------------------------------------------------------------------------------------------------


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
    assert "writable by users other than root (mode 0666)" in by_name.stderr
    assert lvmsnap("validate", str(path)).returncode == 0


def test_schema_prints_the_schema() -> None:
    done = lvmsnap("schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads((ROOT / "schema/profile.schema.json").read_text())


def test_schema_tells_where_its_file_is() -> None:
    done = lvmsnap("schema", "--path")

    assert (done.returncode, done.stderr) == (0, "")
    path = Path(done.stdout.removesuffix("\n"))
    assert path.is_absolute()
    assert path.read_text() == lvmsnap("schema").stdout


def test_the_path_of_a_linked_schema_is_where_the_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, linked = tmp_path / "share/profile.schema.json", tmp_path / "lvmsnap/schema/profile.schema.json"
    for path in (fixed, linked):
        path.parent.mkdir(parents=True)
    fixed.write_text("{}")
    linked.symlink_to(fixed)
    monkeypatch.setattr(loading, "__file__", str(tmp_path / "lvmsnap/profile/loading.py"))

    assert lvmsnap("schema", "--path").stdout == f"{fixed}\n"


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


def test_an_export_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    wrong_name = lvmsnap("plan", "--offline", str(PROFILE), "--export", str(tmp_path / "plan.pdf"))
    no_folder = lvmsnap("plan", "--offline", str(PROFILE), "--export", str(tmp_path / "none/plan.svg"))

    assert wrong_name.returncode == 2
    assert ".svg, .html or .txt" in wrong_name.stderr
    assert no_folder.returncode != 0
    assert "No such file or directory" in no_folder.stderr
    assert "Traceback" not in wrong_name.stderr + no_folder.stderr
