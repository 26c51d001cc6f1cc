"""The systemd units of a profile: what fails is taken back, what is removed or shown, what is wrong usage."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from lvmsnap.cli import error_view, parser
from lvmsnap.install import systemd_timer, timer_units, unit_text
from lvmsnap.install.timer_units import Wish
from lvmsnap.model.errors import LvmsnapError, RefusedError, ResidueError, StepError
from lvmsnap.system.processes import Finished
from tests.unit.install.fake_systemd import (
    DROP_IN,
    LINK,
    ROOT,
    SERVICE,
    TIMER,
    TIMER_DROP_IN,
    Place,
)

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
    assert place.said[0] == "nightly has no timer"


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
    assert (seen().problem, seen().last, seen().next) == ("", "none since boot", "Tue 00:12")
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
        (["nightly", "--status", "--", "true"], "--status takes no command after `--`"),
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
