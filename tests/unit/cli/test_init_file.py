"""`lvmsnap init --write`: the file it makes, and never over another one."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.facts import Facts
from lvmsnap.model.first_profile import Proposal
from lvmsnap.planning import first_profile as planning
from lvmsnap.profile import loading
from lvmsnap.system import atomic_files, reading
from tests import samples
from tests.unit.cli.first_machine import init, look_at
from tests.unit.planning import first

pytestmark = pytest.mark.usefixtures("facts")


def test_write_makes_the_directory_and_a_file_for_root_alone(folder: Path) -> None:
    done = init("vg0/system", "--write", "nightly", folder=folder)

    file = folder / "nightly.yaml"
    assert (done.returncode, done.stdout) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert loading.load(file, require_root_owned=os.geteuid() == 0).volumes[0].path == "vg0/system"
    assert done.stderr == (
        f"wrote {file}\n"
        f"next: lvmsnap plan --profile-dir {folder} nightly\n"
        "        shows what it would do\n"
        f"      lvmsnap run --profile-dir {folder} nightly -- COMMAND\n"
        "        takes the snapshot around COMMAND\n"
    )


def test_its_first_line_names_the_schema_that_is_there(folder: Path) -> None:
    init("vg0/system", "--write", "nightly", folder=folder)

    line = (folder / "nightly.yaml").read_text().splitlines()[0]
    path = line.removeprefix("# yaml-language-server: $schema=")
    assert path.startswith("/")
    assert '"$id": "urn:lvmsnap:profile"' in Path(path).read_text()


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "directory"])
def test_write_never_goes_over_anything(kind: str, folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (file := folder / "nightly.yaml").parent.chmod(0o755)
    (other := tmp_path / "other").write_text("other")
    if kind == "file":
        file.write_text("mine")
    elif kind == "directory":
        file.mkdir()
    else:
        file.symlink_to(other if kind == "link" else tmp_path / "none")

    done = init("vg0/system", "--write", "nightly", folder=folder)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"{file} exists already" in done.stderr
    assert (other.read_text(), (tmp_path / "none").exists()) == ("other", False)
    assert kind != "file" or file.read_text() == "mine"


def test_one_that_came_meanwhile_is_not_written_over_either(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    file = folder / "nightly.yaml"
    load = loading.schema_path

    def meanwhile() -> Path:
        file.write_text("theirs")
        return load()

    monkeypatch.setattr(loading, "schema_path", meanwhile)

    done = init("vg0/system", "--write", "nightly", folder=folder)

    assert (done.returncode, file.read_text()) == (3, "theirs")


@pytest.mark.parametrize("name", ["Nightly", "lock", "../x", "", "nightly.yaml", "/tmp/x.yaml"])
def test_a_name_that_no_profile_can_have_is_wrong(name: str, folder: Path) -> None:
    done = init("vg0/system", "--write", name, folder=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's profiles are refused for their directory")
def test_a_file_that_up_would_refuse_is_taken_away_again(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)

    done = init("vg0/system", "--write", "nightly", folder=folder)

    assert done.returncode == 2
    assert "writable by users other than root" in done.stderr
    assert list(folder.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for folder in (tmp_path / "file", tmp_path / "file/x"):
        done = init("vg0/system", "--write", "nightly", folder=folder)
        assert done.returncode == 1
        assert f"error: cannot write {folder}/nightly.yaml: {tmp_path}/file is not a directory\n" in done.stderr


def test_who_may_not_write_there_is_told_to_be_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic_files, "create", denied)

    done = init("vg0/system", "--write", "nightly", folder=folder)

    assert (done.returncode, done.stdout) == (3, "")
    assert f"you may not write {folder}/nightly.yaml\n" in done.stderr
    assert "what to do: run it as root" in done.stderr


def test_a_profile_without_a_name_is_planned_under_one_that_is_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[str] = []
    propose = planning.propose

    def noting(wish: planning.Wish, facts: Facts) -> Proposal:
        planned.append(wish.name)
        return propose(wish, facts)

    monkeypatch.setattr(planning, "propose", noting)
    folder.mkdir(parents=True)

    init("vg0/system", folder=folder)
    (folder / "system.yaml").write_text("")
    init("vg0/system", folder=folder)

    assert planned == ["system", "system-2"]


def test_what_is_risky_at_boot_has_install_boot_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, facts: Facts
) -> None:
    looked = samples.looked(boot_tags=("UUID=1",), origin_tags=("UUID=1",))
    look_at(monkeypatch, replace(facts, looked=replace(looked, directories={})))

    done = init("vg0/system", "--write", "nightly", folder=folder)

    assert done.stderr.splitlines()[1] == "next: lvmsnap install-boot"


def test_what_its_plan_will_be_refused_for_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    full = first.machine(first.full_vg(), places={})
    monkeypatch.setattr(reading, "read_system", lambda *_, **__: full)
    look_at(monkeypatch, full)

    done = init("vg0/system", "-q")

    assert done.returncode == 0
    assert done.stderr.startswith(
        "warning: its plan will be refused: not enough space for the snapshot: 2 GiB needed, 0 B available\n"
    )
