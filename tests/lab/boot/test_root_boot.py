"""A root filesystem on LVM and a power cut while its group has a lent PV: what a real initramfs makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lvmsnap.install.boot_parts import System
from tests.lab import root_image
from tests.lab.helpers import MachineFactory
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, write_profile

pytestmark = pytest.mark.lab

UUID = "0f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f"
DISKS = {"ubda": 160 * MiB, "ubdb": 96 * MiB}
MAKE_SPACE = "mkfs.ext4 -q /dev/ubdb; mkdir -p /media/space; mount /dev/ubdb /media/space"
PROFILE = profile_text("vg0/root", size="16MiB", backing_file={"path": "/media/space/lent", "accept_boot_risk": True})


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The disks of a machine that lost its power while the root filesystem's snapshot stood on a lent PV."""
    folder = tmp_path_factory.mktemp("crashed")
    with Machine(DISKS) as m:
        m.boot()
        root_image.make_root_volume(m, other="16M")
        m.run(MAKE_SPACE)
        write_profile(m, "root", PROFILE)
        lvmsnap(m, "up root")
        m.run("cp -a /var/lib/lvmsnap /media/space/state; sync")
        m.cut_power()
        copy_disks(m, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two images by initramfs-tools: with what install-boot installs, and without."""
    ours, plain = (tmp_path_factory.mktemp(name) for name in ("ours", "plain"))
    with pytest.MonkeyPatch.context() as patch:
        root_image.installed(ours, patch, System.INITRAMFS_TOOLS)
    configuration = ours / "etc" / "initramfs-tools"
    root_image.watch_links(configuration)
    return (
        root_image.initramfs_tools_image(ours / "image", configuration),
        root_image.initramfs_tools_image(plain / "image", plain / "configuration"),
    )


@pytest.fixture(scope="module")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The disks of a machine that lost its power while a snapshot of its root filesystem was up, no file lent."""
    folder = tmp_path_factory.mktemp("stale")
    with Machine(DISKS) as m:
        m.boot()
        root_image.make_root_volume(m, other="16M")
        m.run(
            f"set -e; umount /mnt; e2fsck -fp /dev/vg0/root; tune2fs -U {UUID} /dev/vg0/root; mount /dev/vg0/root /mnt"
        )
        write_profile(m, "root", profile_text("vg0/root", size="16MiB", mountpoint=None))
        lvmsnap(m, "up root")
        m.run("echo of today > /mnt/data; sync")
        m.cut_power()
        copy_disks(m, folder)
    yield folder
    shutil.rmtree(folder)


def copy_disks(m: Machine, folder: Path) -> None:
    for name in m.disks:
        shutil.copy(m.disk_image(name), folder / name)


def with_disks(m: Machine, folder: Path) -> Machine:
    for name in m.disks:
        shutil.copy(folder / name, m.disk_image(name))
    return m


def assert_root_is_back(m: Machine) -> None:
    """The root volume is the root filesystem, the group is whole, and nothing of lvmsnap is in it."""
    assert f"{root_image.ROOT_IS_UP} /dev/mapper/vg0-root / ext4" in m.console()
    volumes = m.run("lvs --noheadings -o lv_name,lv_active,lv_health_status vg0").stdout
    assert [line.split() for line in volumes.splitlines()] == [["other", "active"], ["root", "active"]]
    assert m.run("pvs --noheadings -o pv_name,vg_missing_pv_count").stdout.split() == ["/dev/ubda", "0"]
    assert m.run("mkdir -p /x; mount -o ro /dev/vg0/root /x; cat /x/data; umount /x").stdout == "precious\n"


def test_the_root_filesystem_comes_up_after_a_power_cut_where_the_initramfs_has_the_repair_and_only_there(
    crashed: Path, images: tuple[Path, Path], fresh_machine: MachineFactory
) -> None:
    ours, plain = images
    without = with_disks(fresh_machine(DISKS), crashed)
    without.boot(initrd=plain, append=(*root_image.ARGUMENTS, "rootdelay=12"), agent=False)
    m = with_disks(fresh_machine(DISKS), crashed)

    m.boot(initrd=ours, append=root_image.ARGUMENTS)

    assert_root_is_back(m)
    m.run("mkdir -p /media/space; mount /dev/ubdb /media/space; cp -a /media/space/state /var/lib/lvmsnap")
    assert m.run("ls /media/space/lent", check=False).returncode == 0
    lvmsnap(m, "recover")
    assert m.run("ls /media/space; ls /var/lib/lvmsnap").stdout.split() == ["lost+found", "state"]
    m.close()

    without.wait_console("Gave up waiting for root file system device", timeout=120)
    assert root_image.ROOT_IS_UP not in without.console()


def test_the_packages_part_of_the_initramfs_brings_the_root_filesystem_up_too(
    crashed: Path, tmp_path: Path, fresh_machine: MachineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root_image.installed(tmp_path, monkeypatch, System.INITRAMFS_TOOLS, is_packaged=True)
    image = root_image.initramfs_tools_image(tmp_path / "image", tmp_path / "usr/share/initramfs-tools")
    m = with_disks(fresh_machine(DISKS), crashed)

    m.boot(initrd=image, append=root_image.ARGUMENTS)

    assert_root_is_back(m)


def test_a_power_cut_while_the_initramfs_repairs_the_group_is_made_good_by_the_next_boot(
    crashed: Path, images: tuple[Path, Path], fresh_machine: MachineFactory
) -> None:
    m = with_disks(fresh_machine(DISKS), crashed)
    m.boot(initrd=images[0], append=(*root_image.ARGUMENTS, "loglevel=7"), agent=False)
    m.wait_console("lvmsnap: removing vg0/root-lvmsnap-root")
    m.cut_power()

    m.boot(initrd=images[0], append=root_image.ARGUMENTS)

    assert_root_is_back(m)


# Which device is seen first is chance.
@pytest.mark.parametrize("boots", [1, 4])
def test_a_root_filesystem_mounted_by_uuid_is_never_its_stale_snapshot(
    stale: Path, images: tuple[Path, Path], fresh_machine: MachineFactory, boots: int
) -> None:
    arguments = (f"root=UUID={UUID}", *root_image.ARGUMENTS[1:])
    for _ in range(boots):
        m = with_disks(fresh_machine(DISKS), stale)

        m.boot(initrd=images[0], append=arguments)

        seen = root_image.links_seen(m.console())
        assert {state[UUID] for state in seen if UUID in state} == {"vg0-root"}
        assert [state for state in seen if "lvmsnap" in state["active"]] == [], "the snapshot never came up"
        assert f"{root_image.ROOT_IS_UP} /dev/mapper/vg0-root / ext4" in m.console()
        assert m.run("mkdir -p /x; mount -o ro /dev/vg0/root /x; cat /x/data; umount /x").stdout == "of today\n"
        assert m.run("lvs --noheadings -o lv_name vg0").stdout.split() == ["other", "root"]
        m.close()


@pytest.mark.skipif(shutil.which("dracut") is None, reason="dracut-core is not installed")
def test_the_root_filesystem_comes_up_after_a_power_cut_by_dracut_too(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_machine: MachineFactory
) -> None:
    root_image.installed(tmp_path / "installed", monkeypatch, System.DRACUT)
    (tmp_path / "image").mkdir()
    image = root_image.dracut_image(tmp_path / "image", tmp_path / "installed")
    m = with_disks(fresh_machine(DISKS), crashed)

    m.boot(
        initrd=image, append=(*root_image.ARGUMENTS, "rd.driver.pre=dm-snapshot", "rd.lvm.lv=vg0/root", "rd.shell=0")
    )

    assert_root_is_back(m)
