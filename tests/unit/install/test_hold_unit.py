"""The unit that holds a profile: what is written, what systemd is asked to do, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvmsnap.install import files, hold_unit, systemd_timer, timer_units
from lvmsnap.model.errors import RefusedError, StepError, UsageError
from lvmsnap.system.processes import Finished
from tests.unit.install.fake_systemd import Place

TEMPLATE, DROP_IN = "lvmsnap-hold@.service", "lvmsnap-hold@nightly.service.d/lvmsnap.conf"
RELOAD = "systemctl daemon-reload"


class Holds:
    """Installs and removes on a place, and keeps what was said and asked for."""

    def __init__(self, place: Place) -> None:
        self.place, self.runner = place, place.systemd
        self.said: list[str] = []

    def install(self, name: str = "nightly", folder: str = "") -> list[str]:
        return self._call(hold_unit.install, name, folder)

    def remove(self, name: str = "nightly") -> list[str]:
        return self._call(hold_unit.remove, name)

    def problem(self, name: str = "nightly") -> str:
        return hold_unit.problem(self.runner, name)  # type: ignore[arg-type]

    def _call(self, function: Any, *arguments: str) -> list[str]:
        self.runner.commands.clear()
        self.said.clear()
        function(self.runner, *arguments, self.said.append)
        return self.runner.commands


@pytest.fixture
def holds(place: Place) -> Holds:
    return Holds(place)


def test_the_unit_holds_the_profile_and_takes_down_what_a_killed_one_left(holds: Holds) -> None:
    assert holds.install() == [RELOAD]

    text = holds.place.files()[DROP_IN]
    assert " hold --replace nightly\n" in text
    assert 'ExecStopPost=/bin/sh -c "test ! -e /var/lib/lvmsnap/nightly.json || exec \\"$$@\\"" sh ' in text
    assert text.endswith(" recover nightly\n")  # what somebody else has up, for whom it was refused, stays
    assert "StopWhenUnneeded=yes\n" in holds.place.files()[TEMPLATE]
    assert "BindsTo=lvmsnap-hold@nightly.service" in holds.said
    assert holds.said[-1].startswith("ExecStartPost=/")
    assert holds.said[-1].endswith(" hold nightly --check")
    assert holds.problem() == ""


def test_twice_in_a_row_changes_nothing_and_says_so(holds: Holds) -> None:
    holds.install()
    before = holds.place.files()

    assert holds.install() == []
    assert holds.place.files() == before
    assert holds.said[0] == "everything is installed already"


def test_another_profile_folder_reaches_it(holds: Holds) -> None:
    holds.install(folder="/srv/my profiles")

    assert 'Environment="LVMSNAP_PROFILE_DIR=/srv/my profiles"\n' in holds.place.files()[DROP_IN]
    with pytest.raises(UsageError, match="not UTF-8"):
        holds.install(folder="/srv/\udcff")


def test_removing_the_last_one_leaves_nothing_and_the_first_leaves_the_template(holds: Holds) -> None:
    holds.install()
    holds.install("weekly")

    assert holds.remove() == [RELOAD]
    assert TEMPLATE in holds.place.files()
    assert "is missing" in holds.problem()
    holds.remove("weekly")
    assert holds.place.files() == {}
    assert holds.remove() == [RELOAD]
    assert holds.said[0] == "nightly has no hold unit"


def test_the_timers_units_and_the_holds_do_not_touch_each_other(holds: Holds) -> None:
    holds.place.install()
    timers = holds.place.files()
    holds.install()

    holds.place.remove()
    assert set(holds.place.files()) == {TEMPLATE, DROP_IN, DROP_IN.partition("/")[0]}
    assert "lvmsnap install-units nightly --hold --remove removes" in hold_unit.left_beside("nightly")
    holds.place.install()
    holds.remove()
    assert holds.place.files() == timers
    assert hold_unit.left_beside("nightly") == ""


def test_one_that_is_up_is_not_removed(holds: Holds) -> None:
    holds.install()
    holds.runner.is_running = True

    with pytest.raises(RefusedError, match=r"lvmsnap-hold@nightly\.service is running"):
        holds.remove()
    assert DROP_IN in holds.place.files()


def test_what_somebody_wrote_is_refused_and_a_template_of_his_own_is_used_as_it_is(holds: Holds) -> None:
    holds.install()
    (holds.place.folder / TEMPLATE).write_text("[Service]\nNice=5\n")
    holds.install("weekly")
    assert f"left alone: {holds.place.folder / TEMPLATE} {timer_units.NOT_OURS}" in holds.said

    (holds.place.folder / DROP_IN).write_text("[Service]\nExecStart=/bin/mine\n")
    with pytest.raises(RefusedError, match="was edited"):
        holds.install()
    holds.remove()
    assert DROP_IN in holds.place.files()


@pytest.mark.parametrize("failing", ["reload", "rejected", "disk"])
def test_where_it_fails_everything_is_as_before(holds: Holds, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if failing == "reload":
        holds.runner.failing = (RELOAD,)
    elif failing == "rejected":
        holds.runner.load_state = "bad-setting"
    else:

        def write(path: Path, text: str, mode: int) -> None:
            if path.name == "lvmsnap.conf":
                raise OSError(28, "No space left on device", str(path))
            files.write(path, text, mode)

        monkeypatch.setattr(timer_units, "write", write)

    with pytest.raises(StepError, match="everything is as before"):
        holds.install()
    assert holds.place.files() == {}


def test_without_systemd_it_is_refused_and_where_it_is_not_at_work_the_files_are_all(
    holds: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd_timer, "RUNNING", "/nonexistent")
    assert holds.install() == []
    assert DROP_IN in holds.place.files()
    monkeypatch.setattr(systemd_timer, "is_there", lambda: False)
    with pytest.raises(RefusedError, match="systemd is not on this machine"):
        holds.install("weekly")


def test_its_state_is_said(holds: Holds, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "ActiveState=failed\nExecMainExitTimestamp=Tue 00:12\nExecMainStatus=124\n"
    monkeypatch.setattr(holds.runner, "run", lambda argv: Finished(argv, 0, shown, "", 0.1))

    said = hold_unit.state(holds.runner, "nightly")  # type: ignore[arg-type]

    assert said == "now: failed, ended last Tue 00:12 (exit 124)"
