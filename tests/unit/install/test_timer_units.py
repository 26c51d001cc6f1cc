"""The systemd units of a profile: what is written, and what systemd is asked to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.install import hold_unit, systemd_timer, timer_units, unit_text
from lvmsnap.install.timer_units import Wish
from lvmsnap.model.errors import RefusedError, UsageError
from tests.unit.install.fake_systemd import (
    DROP_IN,
    FALSE,
    LINK,
    SERVICE,
    TIMER,
    TIMER_DROP_IN,
    TRUE,
    Place,
)

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
    assert text.endswith(" recover nightly\n")  # what somebody else has up, for whom it was refused, stays
    assert TIMER_DROP_IN not in place.files()


def test_another_profile_folder_reaches_the_service(place: Place) -> None:
    place.install(Wish("nightly", ("true",), profile_dir="/srv/my profiles"))

    assert 'Environment="LVMSNAP_PROFILE_DIR=/srv/my profiles"\n' in place.files()[DROP_IN]


def test_another_time_takes_the_place_of_the_template_s(place: Place) -> None:
    place.install(Wish("nightly", ("true",), calendar="Mon 02:30"))

    assert place.files()[TIMER_DROP_IN].endswith("[Timer]\nOnCalendar=\nOnCalendar=Mon 02:30\n")


def test_every_packaged_file_is_a_template_and_none_gives_the_service_mounts_of_its_own() -> None:
    texts = {path.name: path.read_text() for path in timer_units.SOURCE.iterdir() if path.is_file()}
    services = (texts[name] for name in texts if name.endswith(".service"))
    settings = [line for text in services for line in text.splitlines() if line and not line.startswith("#")]

    assert set(texts) == {*timer_units.TEMPLATES, *hold_unit.TEMPLATES}
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
        (Wish("nightly", ("/etc/passwd",)), "not executable"),
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
