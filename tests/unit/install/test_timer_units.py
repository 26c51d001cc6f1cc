"""The systemd units of a profile: what is written, what systemd is told, and how everything is put back."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lvmsnap.cli import error_view, parser
from lvmsnap.install import systemd_timer, timer_units, unit_text
from lvmsnap.install.timer_units import Wish
from lvmsnap.model.errors import LvmsnapError, RefusedError, ResidueError, StepError, UsageError
from lvmsnap.system.processes import Finished
from tests import TOP

ROOT = TOP
TRUE, FALSE = shutil.which("true"), shutil.which("false")
BACKUP = Wish("nightly", ("true", "--to", "/backup"))
LINK = "timers.target.wants/lvmsnap@nightly.timer"
SERVICE, TIMER = "lvmsnap@.service", "lvmsnap@.timer"
DROP_IN, TIMER_DROP_IN = "lvmsnap@nightly.service.d/lvmsnap.conf", "lvmsnap@nightly.timer.d/lvmsnap.conf"


@dataclass
class FakeSystemd:
    """Answers as systemctl and systemd-analyze do; `failing` are commands that fail, by their beginning."""

    folder: Path
    failing: tuple[str, ...] = ()
    load_state: str = "loaded"
    is_running: bool = False
    commands: list[str] = field(default_factory=list)
    started: set[str] = field(default_factory=set)

    def run(self, argv: tuple[str, ...]) -> Finished:
        line = " ".join(argv)
        if argv[:2] == ("systemctl", "show"):
            return Finished(argv, 0, self._shown(argv[-1]), "", 0.1)
        self.commands.append(line)
        if line.startswith(self.failing) and self.failing:
            return Finished(argv, 1, "", "Connection timed out", 0.1)
        if argv[0] == "systemd-analyze":
            return Finished(argv, int("nonsense" in argv[-1]), "", "", 0.1)
        link = self.folder / "timers.target.wants" / argv[-1]
        if argv[1] == "enable":
            assert (self.folder / TIMER).exists(), "systemctl enables no unit without a file"
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self.folder / TIMER)
            self.started.add(argv[-1])
        if argv[1] == "disable":
            assert (self.folder / TIMER).exists(), "systemctl disables no unit without a file"
            link.unlink(missing_ok=True)
            if link.parent.is_dir() and not any(link.parent.iterdir()):
                link.parent.rmdir()
        if argv[1] in {"disable", "stop"}:
            self.started.discard(argv[-1])
        return Finished(argv, 0, "", "", 0.1)

    def _shown(self, unit: str) -> str:
        busy = "activating" if self.is_running else "inactive"
        state = ("active" if unit in self.started else "inactive") if unit.endswith(".timer") else busy
        return f"LoadState={self.load_state}\nLoadError=\nActiveState={state}\nNextElapseUSecRealtime=Tue 00:12\n"


@dataclass
class Place:
    """A folder in place of /etc/systemd/system, and what was said."""

    folder: Path
    stamp: Path
    systemd: FakeSystemd
    said: list[str] = field(default_factory=list)

    def install(self, wish: Wish = BACKUP) -> list[str]:
        return self._call(lambda: timer_units.install(self.systemd, wish, self.said.append))  # type: ignore[arg-type]

    def remove(self, name: str = "nightly") -> list[str]:
        return self._call(lambda: timer_units.remove(self.systemd, name, self.said.append))  # type: ignore[arg-type]

    def files(self) -> dict[str, str]:
        """Every file and link, and what it holds; folders count too."""
        found = sorted(self.folder.rglob("*"))
        return {str(path.relative_to(self.folder)): self._content(path) for path in found}

    def _content(self, path: Path) -> str:
        return os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""

    def _call(self, work: Callable[[], None]) -> list[str]:
        self.systemd.commands.clear()
        self.said.clear()
        work()
        return self.systemd.commands


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine with systemd at work and nothing of lvmsnap's."""
    folder, stamps = tmp_path / "system", tmp_path / "stamps"
    folder.mkdir()
    stamps.mkdir()
    for module in (timer_units, systemd_timer):
        monkeypatch.setattr(module, "UNIT_FOLDER", str(folder))
    monkeypatch.setattr(systemd_timer, "RUNNING", str(folder))
    monkeypatch.setattr(systemd_timer, "STAMPS", str(stamps))
    monkeypatch.setattr(systemd_timer, "is_there", lambda: True)
    return Place(folder, stamps / "stamp-lvmsnap@nightly.timer", FakeSystemd(folder))


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/borg", "/usr/bin/borg"),
        ("--stats", "--stats"),
        ("repo::{hostname}-{now}", '"repo::{hostname}-{now}"'),
        ("", '""'),
        ("two words", '"two words"'),
        ("100%", '"100%%"'),
        ("$LVMSNAP_MOUNTPOINT", '"$$LVMSNAP_MOUNTPOINT"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("it's", '"it\'s"'),
        ("back\\slash", '"back\\\\slash"'),
        (";", '";"'),
        ("a\nExecStart=/bin/evil", '"a\\x0aExecStart=/bin/evil"'),
        ("tab\tbell\x07del\x7f", '"tab\\x09bell\\x07del\\x7f"'),
        ("#", '"#"'),
        ("größe", '"größe"'),
    ],
)
def test_a_word_is_quoted_as_systemd_reads_it(word: str, written: str) -> None:
    assert unit_text.command_line((word,)) == written


def test_a_variable_keeps_its_dollars_which_mean_nothing_there() -> None:
    assert unit_text.assignment("DIR", "/a $b 5%") == '"DIR=/a $b 5%%"'


def test_the_service_runs_the_command_by_its_whole_path(place: Place) -> None:
    place.install()

    text = place.files()[DROP_IN]
    assert f"run --replace nightly -- {TRUE} --to /backup\n" in text
    assert "LVMSNAP_PROFILE_DIR" not in text
    assert TIMER_DROP_IN not in place.files()


def test_another_profile_folder_reaches_the_service(place: Place) -> None:
    place.install(Wish("nightly", ("true",), profile_dir="/srv/my profiles"))

    assert 'Environment="LVMSNAP_PROFILE_DIR=/srv/my profiles"\n' in place.files()[DROP_IN]


def test_another_time_takes_the_place_of_the_template_s(place: Place) -> None:
    place.install(Wish("nightly", ("true",), calendar="Mon 02:30"))

    assert place.files()[TIMER_DROP_IN].endswith("[Timer]\nOnCalendar=\nOnCalendar=Mon 02:30\n")


def test_every_packaged_file_is_a_template_and_none_gives_the_service_mounts_of_its_own() -> None:
    texts = {path.name: path.read_text() for path in timer_units.SOURCE.iterdir() if path.is_file()}
    settings = [line for line in texts[SERVICE].splitlines() if line and not line.startswith("#")]

    assert set(texts) == set(timer_units.TEMPLATES)
    isolating = ("ProtectSystem", "ProtectHome", "ProtectProc", "ProtectC", "ProtectK", "Private", "ReadOnly", "Bind")
    assert [line for line in settings if line.startswith((*isolating, "Mount", "Inaccessible", "Temporary"))] == []


# --- installing -------------------------------------------------------------------------------------------------------


def test_the_first_installation_enables_the_timer_and_says_when_it_runs(place: Place) -> None:
    commands = place.install()

    assert commands == ["systemctl daemon-reload", "systemctl enable --now lvmsnap@nightly.timer"]
    assert set(place.files()) > {SERVICE, TIMER, DROP_IN, LINK}
    assert place.said[-1] == "next run: Tue 00:12"


def test_the_second_installation_changes_nothing(place: Place) -> None:
    place.install()
    before = place.files()

    assert place.install() == []
    assert place.files() == before
    assert place.said == ["everything is installed already", "next run: Tue 00:12"]


def test_another_command_replaces_the_first_and_leaves_the_timer_running(place: Place) -> None:
    place.install()
    place.stamp.touch()

    commands = place.install(Wish("nightly", ("false",)))

    assert f"{FALSE}\n" in place.files()[DROP_IN]
    assert f"-- {TRUE}" not in place.files()[DROP_IN]
    assert not any("stop" in command for command in commands)
    assert place.stamp.exists()


@pytest.mark.parametrize("second", ["", "03:00"])
def test_another_time_forgets_the_last_run_so_that_none_counts_as_missed(place: Place, second: str) -> None:
    place.install(Wish("nightly", ("true",), calendar="02:00"))
    place.stamp.touch()

    commands = place.install(Wish("nightly", ("true",), calendar=second))

    assert commands[-3] == "systemctl stop lvmsnap@nightly.timer"
    assert not place.stamp.exists()
    assert (TIMER_DROP_IN in place.files()) == bool(second)
    assert place.systemd.started == {"lvmsnap@nightly.timer"}


def test_a_timer_that_somebody_stopped_is_started_again(place: Place) -> None:
    place.install()
    place.systemd.started.clear()

    place.install()

    assert place.systemd.started == {"lvmsnap@nightly.timer"}


def test_units_of_an_older_version_are_brought_up_to_date(place: Place) -> None:
    place.install()
    for name in (SERVICE, DROP_IN):
        (place.folder / name).write_text(unit_text.signed("[Service]\n# as an older lvmsnap wrote it\n"))

    place.install()

    assert "older" not in place.files()[SERVICE] + place.files()[DROP_IN]


def test_a_template_that_somebody_made_his_own_is_used_as_it_is(place: Place) -> None:
    place.install()
    (place.folder / SERVICE).write_text(place.files()[SERVICE] + "Nice=5\n")

    place.install(Wish("weekly", ("true",)))

    assert place.files()[SERVICE].endswith("Nice=5\n")
    assert f"left alone: {place.folder / SERVICE} {timer_units.NOT_OURS}" in place.said


@pytest.mark.parametrize("content", ["[Service]\nExecStart=/bin/mine\n", None])
def test_a_drop_in_that_is_not_ours_is_refused_and_stays(place: Place, content: str | None) -> None:
    path = place.folder / DROP_IN
    path.parent.mkdir()
    if content is None:
        path.symlink_to("/dev/null")
    else:
        path.write_text(content)
    before = place.files()

    with pytest.raises(RefusedError, match="was edited, or was not written by lvmsnap"):
        place.install()

    assert place.files() == before
    assert place.systemd.commands == []


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish("nightly", ("no-such-program",)), "no such program"),
        (Wish("nightly", ("/etc/passwd",)), "no such program"),
        (Wish("nightly", ("true", "\udcff")), "not UTF-8"),
        (Wish("nightly", ("true",), profile_dir="/\udcff"), "not UTF-8"),
        (Wish("nightly", ("true",), calendar="nonsense"), "not a time that systemd understands"),
        (Wish("nightly", ("true",), calendar="daily\nPersistent=no"), "not a time that systemd understands"),
    ],
)
def test_what_systemd_could_not_carry_out_is_refused_before_anything_is_written(
    place: Place, wish: Wish, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        place.install(wish)

    assert place.files() == {}


def test_a_link_to_a_file_of_ours_elsewhere_is_somebody_s_own_and_stays(place: Place, tmp_path: Path) -> None:
    place.install()
    elsewhere = tmp_path / "shared.conf"
    (place.folder / DROP_IN).rename(elsewhere)
    (place.folder / DROP_IN).symlink_to(elsewhere)

    with pytest.raises(RefusedError, match="not written by lvmsnap"):
        place.install(Wish("nightly", ("false",)))
    place.remove()

    assert (place.folder / DROP_IN).is_symlink()


def test_without_systemd_it_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd_timer, "is_there", lambda: False)

    with pytest.raises(RefusedError, match="systemd is not on this machine"):
        place.install()


def test_where_systemd_is_not_at_work_the_files_and_the_link_are_made_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd_timer, "RUNNING", "/nonexistent")

    assert place.install() == ["systemctl enable lvmsnap@nightly.timer"]
    assert LINK in place.files()
    assert place.remove() == ["systemctl disable lvmsnap@nightly.timer"]
    assert place.files() == {}


# --- what fails is taken back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["systemctl daemon-reload", "systemctl enable"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_failing_systemctl_leaves_every_file_as_it_was(place: Place, failing: str, is_there: bool) -> None:
    if is_there:
        place.install()
    before = place.files()
    calls: list[str] = []

    def fail_once(argv: tuple[str, ...], run: Callable[..., Finished] = place.systemd.run) -> Finished:
        calls.append(" ".join(argv))
        is_first = len([line for line in calls if line.startswith(failing)]) == 1
        place.systemd.failing = (failing,) if is_first else ()
        return run(argv)

    place.systemd.run = fail_once  # type: ignore[method-assign]
    with pytest.raises(StepError, match=r"Connection timed out; everything is as before"):
        place.install(Wish("nightly", ("false",), calendar="03:00"))

    assert place.files() == before
    assert place.systemd.started == ({"lvmsnap@nightly.timer"} if is_there else set())
    assert calls[-1] == ("systemctl enable --now lvmsnap@nightly.timer" if is_there else "systemctl daemon-reload")


def test_what_cannot_be_taken_back_is_named_with_the_commands_that_finish(place: Place) -> None:
    place.systemd.failing = ("systemctl",)

    with pytest.raises(ResidueError, match="Connection timed out") as caught:
        place.install()

    assert caught.value.commands == ("systemctl daemon-reload",)
    assert place.files() == {}


def test_a_timer_that_is_enabled_but_does_not_start_is_disabled_again(place: Place) -> None:
    run = place.systemd.run

    def fail_after(argv: tuple[str, ...]) -> Finished:
        finished = run(argv)
        return Finished(argv, 1, "", "Job failed", 0.1) if argv[1] == "enable" else finished

    place.systemd.run = fail_after  # type: ignore[method-assign]
    with pytest.raises(StepError, match="Job failed; everything is as before"):
        place.install()

    assert place.files() == {}
    assert place.systemd.started == set()


def test_units_that_systemd_does_not_take_are_taken_back(place: Place) -> None:
    place.systemd.load_state = "bad-setting"

    with pytest.raises(StepError, match=r"systemd rejects lvmsnap@nightly\.service"):
        place.install()

    assert place.files() == {}


def test_a_full_disk_leaves_every_file_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", no_space)

    with pytest.raises(LvmsnapError, match="No space left on device; everything is as before"):
        place.install()

    assert place.files() == {}


# --- removing and showing --------------------------------------------------------------------------------------------


def test_removing_takes_the_templates_with_the_last_profile(place: Place) -> None:
    place.install(Wish("nightly", ("true",), calendar="03:00"))
    place.install(Wish("weekly-2", ("true",)))
    place.stamp.touch()

    place.remove()
    assert set(place.files()) & {SERVICE, TIMER, DROP_IN, TIMER_DROP_IN, LINK} == {SERVICE, TIMER}
    assert not place.stamp.exists()

    place.remove("weekly-2")
    assert place.files() == {}
    assert place.systemd.started == set()


def test_removing_what_is_not_there_is_no_error(place: Place) -> None:
    place.remove()

    assert place.files() == {}


def test_what_somebody_edited_or_added_stays_and_is_named(place: Place) -> None:
    place.install()
    for name in (SERVICE, DROP_IN):
        (place.folder / name).write_text(place.files()[name] + "Nice=5\n")
    added = place.folder / "lvmsnap@nightly.timer.d/override.conf"
    added.parent.mkdir()
    added.write_text("[Timer]\n")

    place.remove()

    left = {name for name in place.files() if (place.folder / name).is_file()}
    assert left == {SERVICE, TIMER, DROP_IN, "lvmsnap@nightly.timer.d/override.conf"}
    assert f"left alone: {place.folder / DROP_IN} {timer_units.NOT_OURS}" in place.said
    assert f"left alone: {added}" in place.said


def test_a_service_that_runs_is_not_removed(place: Place) -> None:
    place.install()
    place.systemd.is_running = True
    before = place.files()

    with pytest.raises(RefusedError, match=r"lvmsnap@nightly\.service is running"):
        place.remove()

    assert place.files() == before


def test_status_tells_the_next_run_or_what_is_missing(place: Place) -> None:
    def seen() -> systemd_timer.Seen:
        return timer_units.seen(place.systemd, "nightly")  # type: ignore[arg-type]

    assert seen().problem == f"{place.folder / SERVICE} is missing"
    place.install()
    assert (seen().problem, seen().last, seen().next) == ("", "none since the boot", "Tue 00:12")
    place.systemd.started.clear()
    assert seen().problem == "lvmsnap@nightly.timer is not started"
    (place.folder / SERVICE).write_text(unit_text.signed("[Service]\n"))
    assert "was written by another version of lvmsnap: run install-units again" in seen().problem
    place.install()
    (place.folder / SERVICE).write_text("# an administrator's own\n")
    place.systemd.started.clear()
    assert seen().problem == "lvmsnap@nightly.timer is not started"
    (place.folder / LINK).unlink()
    assert seen().problem == "lvmsnap@nightly.timer is not enabled"


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nightly"], "install-units needs a command"),
        (["nightly", "--status", "--", "true"], "take a command after --"),
        (["nightly", "--remove", "--status"], "not allowed with"),
        (["../x", "--remove"], "is not the name of a profile"),
        (["../x.yaml", "--remove"], "named after its profile"),
        (["nightly.yaml", "--", "true"], "named after its profile"),
        (["Nightly", "--status"], "is not the name of a profile"),
        (["--profile-dir", "/nonexistent", "nightly", "--", "true"], "there is no profile nightly"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            code = parser.main(["install-units", *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)

    assert code == 2
    assert says in err.getvalue()


def test_an_error_in_the_journal_has_the_level_of_one_in_each_of_its_lines() -> None:
    script = "from lvmsnap.cli import error_view; from lvmsnap.model import errors, printable; "
    script += "error_view.fail(errors.StepError('a: ' + printable.on_lines('b\\nc'), hint='d'))"
    reading, writing = os.pipe()
    state = os.fstat(writing)
    environment = {"PYTHONPATH": str(ROOT), "JOURNAL_STREAM": f"{state.st_dev}:{state.st_ino}"}
    subprocess.run([sys.executable, "-c", script], stderr=writing, env=environment, check=True)
    os.close(writing)

    with open(reading) as stream:
        assert stream.read() == "<3>error: a: b\n<3>    | c\n<3>  what to do: d\n"


def test_an_error_elsewhere_has_no_level(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:4711")

    error_view.fail(StepError("a", hint="b"))

    assert capsys.readouterr().err == "error: a\n  what to do: b\n"
