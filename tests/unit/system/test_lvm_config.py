"""What lvm.conf says of filters and the devices file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvmsnap.system import lvm_config


def filters_of(tmp_path: Path, conf: str, local: str = "") -> dict[str, tuple[str, ...]]:
    (tmp_path / "lvm.conf").write_text(conf)
    if local:
        (tmp_path / "lvmlocal.conf").write_text(local)
    return dict(lvm_config.filters(lvm_config.read_settings(str(tmp_path))))


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("", {}),
        ('devices {\n\tglobal_filter = [ "a|.*|" ]\n}', {"global_filter": ("a|.*|",)}),
        ('filter = ["a|^/dev/sd|","r|.*|"]', {"filter": ("a|^/dev/sd|", "r|.*|")}),
        ('filter = [\n  "a|x|",\n  "r|.*|"\n]', {"filter": ("a|x|", "r|.*|")}),
        ('filter = "r|loop|"', {"filter": ("r|loop|",)}),
        ('filter = [ "a|[0-9]]|", "r|.*|" ]', {"filter": ("a|[0-9]]|", "r|.*|")}),
        ('# filter = [ "r|.*|" ]\n  #global_filter = [ "r|.*|" ]', {}),
        ('filter = [ "a|sd|", # "r|loop|",\n "r|.*|" ]', {"filter": ("a|sd|", "r|.*|")}),
        ('use_lvmpolld = 1\nmy_filter = [ "r|.*|" ]', {}),
    ],
)
def test_filters_are_read_as_they_are_written(tmp_path: Path, conf: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert filters_of(tmp_path, conf) == expected


def test_the_local_file_goes_before_the_common_one(tmp_path: Path) -> None:
    assert filters_of(tmp_path, 'filter = [ "r|a|" ]', 'filter = [ "a|.*|" ]') == {"filter": ("a|.*|",)}


def test_without_any_file_there_are_no_settings(tmp_path: Path) -> None:
    assert lvm_config.read_settings(str(tmp_path / "none")) == {}


def test_the_folder_of_the_settings_is_the_one_that_lvm_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LVM_SYSTEM_DIR", raising=False)
    assert lvm_config.system_dir() == "/etc/lvm"
    monkeypatch.setenv("LVM_SYSTEM_DIR", "/srv/lvm")
    assert lvm_config.system_dir() == "/srv/lvm"


def test_an_empty_folder_name_means_no_settings_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lvm.conf").write_text('filter = [ "r|.*|" ]')
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/system.devices").touch()

    assert lvm_config.read_settings("") == {}
    assert lvm_config.devices_file({}, "") == ""


def test_the_lock_files_are_where_the_settings_say() -> None:
    assert lvm_config.locking_dir({}) == "/run/lock/lvm"
    assert lvm_config.locking_dir({"locking_dir": '"/srv/locks"'}) == "/srv/locks"


def test_the_devices_file_lists_devices_by_the_names_they_had(tmp_path: Path) -> None:
    path = tmp_path / "system.devices"
    path.write_text("# IDTYPE=x DEVNAME=/dev/sdz\nVERSION=1\nIDTYPE=loop_file IDNAME=/a b DEVNAME=/dev/loop7 PVID=.\n")

    assert lvm_config.listed_devices(str(path)) == ("/dev/loop7",)
    assert lvm_config.listed_devices("") == ()


def test_the_devices_file_is_in_use_where_it_exists_and_is_not_switched_off(tmp_path: Path) -> None:
    system_dir = str(tmp_path)
    assert lvm_config.devices_file({}, system_dir) == ""

    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/system.devices").touch()
    (tmp_path / "devices/mine").touch()

    assert lvm_config.devices_file({}, system_dir) == str(tmp_path / "devices/system.devices")
    assert lvm_config.devices_file({"use_devicesfile": "0"}, system_dir) == ""
    assert lvm_config.devices_file({"devicesfile": '"mine"'}, system_dir) == str(tmp_path / "devices/mine")
    assert lvm_config.devices_file({"devicesfile": '"other"'}, system_dir) == ""


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("", 100),
        ("activation {\n\tthin_pool_autoextend_threshold = 70\n}", 70),
        ("# thin_pool_autoextend_threshold = 70", 100),
        ("thin_pool_autoextend_threshold = x", 100),
    ],
)
def test_how_full_a_pool_may_be_is_read(tmp_path: Path, conf: str, expected: int) -> None:
    (tmp_path / "lvm.conf").write_text(conf)

    assert lvm_config.autoextend_percent(lvm_config.read_settings(str(tmp_path))) == expected
