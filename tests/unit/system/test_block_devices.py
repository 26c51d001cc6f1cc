"""What is made of the kernel's tables: mounts captured from a real one, loop devices and layers in a made /sys."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.facts import Loop, Mount, mount_of
from lvmsnap.model.looked import Copy
from lvmsnap.system import block_devices, device_mapper, mount_table
from tests import TOP

MOUNTINFO = (TOP / "tests/unit/data/mountinfo").read_text()


def table() -> tuple[Mount, ...]:
    return tuple(mount_table.parse_mount(line) for line in MOUNTINFO.splitlines())


# --- mounts -----------------------------------------------------------------------------------------------------------


def test_a_mounted_snapshot_is_read_from_the_mount_table() -> None:
    snapshot = Mount("254:9", "/", "/run/lvmsnap/nightly", "ext4", "/dev/mapper/vg0-system--lvmsnap--nightly")

    assert snapshot in {
        replace(mount, mount_id=0, parent_id=0, shared="", options=(), filesystem_options=()) for mount in table()
    }


def test_octal_escapes_of_a_mountpoint_are_undone() -> None:
    assert [m.root for m in table() if m.mountpoint == r"/mnt/with space\and backslash"] == ["/"]


def test_an_escape_that_names_no_byte_stays() -> None:
    assert mount_table.unescape_octal("/a\\777\\400\\40b") == "/a\\777\\400\\40b"


# What Python takes for the end of a line, and the kernel does not escape.
LINE_ENDS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def test_the_kernels_lines_end_with_a_newline_alone() -> None:
    odd = f"40 35 0:50 / /srv/a{LINE_ENDS}b rw - fuse.x {LINE_ENDS} rw"
    plain = "41 35 98:0 / /mnt rw - ext4 /dev/x rw"

    mounts = mount_table.parse_mounts(f"{odd}\n{plain}\n".encode())

    assert [mount.mountpoint for mount in mounts] == [f"/srv/a{LINE_ENDS}b", "/mnt"]
    assert mounts[0].source == LINE_ENDS


def test_a_line_of_the_mount_table_that_cannot_be_parsed_hides_no_other() -> None:
    good = b"41 35 98:0 / /mnt rw - ext4 /dev/x rw"
    bad = (
        b"x 1 0:1 / /a rw - ext4 x rw",
        b"1 2 3",
        b"1 2 0:1 / /a rw ext4 x rw",
        b"\xff",
        b"",
        b"1 2 0:1 / /a rw - ext4",
    )

    mounts = mount_table.parse_mounts(b"\n".join((*bad, good, b"")))

    assert [mount.mountpoint for mount in mounts] == ["/mnt"]


def test_a_mount_without_a_source_is_one() -> None:
    assert mount_table.parse_mount("32 21 0:28 / /media rw,relatime - tmpfs  rw").source == ""


@pytest.mark.parametrize(
    ("text", "plain"),
    [("/a\\040b", "/a b"), ("/a\\134040", "/a\\040"), ("/a\\012", "/a\n"), ("/caf\\303\\251", "/café"), ("/a", "/a")],
)
def test_an_escape_is_undone_once(text: str, plain: str) -> None:
    assert mount_table.unescape_octal(text) == plain


def test_a_name_that_is_no_utf8_survives() -> None:
    assert os.fsencode(mount_table.unescape_octal("/a\\377")) == b"/a\xff"


def test_optional_fields_of_a_mount_do_not_shift_the_others() -> None:
    line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue"

    options = ("rw", "noatime")
    expected = Mount("98:0", "/mnt1", "/mnt2", "ext3", "/dev/root", 36, 35, "", "1", options, ("rw", "errors=continue"))

    assert mount_table.parse_mount(line) == expected


@pytest.mark.parametrize(
    ("path", "device_number"),
    [
        ("/", "0:17"),
        ("/srv", "0:17"),
        ("/dev/null", "0:5"),  # the root was mounted after it, and is the shorter prefix
        ("/srv/space", "98:48"),
        ("/srv/space/deep/file", "98:48"),
        ("/srv/spaceship", "0:17"),
        ("/mnt", "0:28"),  # mounted over twice: the upper one is seen
        ("/run/lvmsnap/nightly/x", "254:9"),
    ],
)
def test_a_path_is_held_by_the_last_mount_on_its_longest_prefix(path: str, device_number: str) -> None:
    mount = mount_of(path, table())

    assert mount is not None
    assert mount.device_number == device_number


def test_a_path_under_no_mount_has_none() -> None:
    assert mount_of("/a", ()) is None


# --- layers -----------------------------------------------------------------------------------------------------------


class Sys:
    """A /sys with the given block devices: number -> the numbers beneath it."""

    def __init__(self, root: Path) -> None:
        self.block, self.dev = root / "block", root / "dev/block"
        self.dev.mkdir(parents=True)
        self.block.mkdir()

    def device(self, number: str, *, slaves: tuple[str, ...] = (), parent: str = "", loop_file: str = "") -> None:
        node = (self.dev / parent).resolve() / f"p{number}" if parent else self.block / number
        (node / "slaves").mkdir(parents=True)
        (node / "dev").write_text(f"{number}\n")
        for slave in slaves:
            (node / "slaves" / slave).symlink_to((self.dev / slave).resolve())
        if parent:
            (node / "partition").write_text("1\n")
        if loop_file:
            (node / "loop").mkdir()
            (node / "loop/backing_file").write_text(f"{loop_file}\n")
        (self.dev / number).symlink_to(node)


@pytest.fixture
def sys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sys:
    made = Sys(tmp_path / "sys")
    monkeypatch.setattr(block_devices, "SYS_BLOCK", made.block)
    monkeypatch.setattr(block_devices, "SYS_DEV_BLOCK", made.dev)
    return made


def test_a_write_to_an_origin_goes_on_to_the_cow_space_of_its_snapshots(sys: Sys, tmp_path: Path) -> None:
    own = block_devices.device_number(os.stat(tmp_path).st_dev)
    for disk in ("8:0", "8:16", "8:32"):
        sys.device(disk)
    sys.device("254:1", slaves=("8:0",))  # the origin's -real
    sys.device("254:2", slaves=("8:16",))  # the snapshot's -cow, on a disk of its own
    sys.device(own, slaves=("254:1",))  # the origin
    sys.device("254:3", slaves=("254:1", "254:2"))  # the snapshot
    sys.device("254:4", slaves=("8:0", "8:32"))  # another volume on the same disk
    for number, uuid, holders in (("254:1", "LVM-ab-real", (own, "254:3")), ("8:0", "", ("254:1", "254:4"))):
        (sys.dev / number / "dm").mkdir()
        (sys.dev / number / "dm/uuid").write_text(f"{uuid}\n")
        (sys.dev / number / "holders").mkdir()
        for holder in holders:
            (sys.dev / number / "holders" / holder).symlink_to((sys.dev / holder).resolve())

    beneath = block_devices.own_devices_under(str(tmp_path), ())
    copy = Copy("254:1", "254:2", ("254:2", "8:16"))
    assert set(beneath) == {own, "254:1", "8:0"}
    assert block_devices.copies_under(beneath, ()) == (copy,)
    assert block_devices.copies_under(copy.beneath, ()) == ()
    assert set(block_devices.devices_under(str(tmp_path), ())) == {own, "254:1", "8:0", "254:2", "8:16"}


def test_the_copies_of_what_is_beneath_a_copy_are_found_and_a_ring_of_them_ends(sys: Sys) -> None:
    for number, slaves in (("254:2", ("254:11",)), ("254:12", ("254:1",)), ("254:1", ()), ("254:11", ())):
        sys.device(number, slaves=slaves)
    for number, real, cow in (("254:3", "254:1", "254:2"), ("254:13", "254:11", "254:12")):
        sys.device(number, slaves=(real, cow))
        (sys.dev / real / "dm").mkdir()
        (sys.dev / real / "dm/uuid").write_text("LVM-ab-real\n")
        (sys.dev / real / "holders").mkdir()
        (sys.dev / real / "holders" / number).symlink_to((sys.dev / number).resolve())

    assert block_devices.copies_under(("254:1",), ()) == (
        Copy("254:1", "254:2", ("254:2", "254:11")),
        Copy("254:11", "254:12", ("254:12", "254:1")),
    )


def test_every_layer_beneath_a_directory_is_found(sys: Sys, tmp_path: Path) -> None:
    own = block_devices.device_number(os.stat(tmp_path).st_dev)
    sys.device("8:0")
    sys.device("8:1", parent="8:0")
    sys.device("8:16")
    sys.device("9:0", slaves=("8:1", "8:16"))  # md over a partition and a disk
    sys.device("999:0", slaves=("9:0",))  # LVM over md
    sys.device(own, slaves=("999:0",))  # crypt over LVM
    sys.device("8:32")  # a disk that has nothing to do with it

    assert set(block_devices.devices_under(str(tmp_path), ())) == {own, "999:0", "9:0", "8:1", "8:0", "8:16"}


def test_a_loop_device_leads_on_to_the_filesystem_of_its_file(sys: Sys, tmp_path: Path) -> None:
    own = block_devices.device_number(os.stat(tmp_path).st_dev)
    sys.device("8:0")
    sys.device("7:0", loop_file=f"{tmp_path}/image (deleted)")
    sys.device("254:1", slaves=("7:0",))
    sys.device(own, slaves=("8:0",))

    seen: dict[str, None] = {}
    block_devices._collect("254:1", seen, ())

    assert set(seen) == {"254:1", "7:0", own, "8:0"}


def test_a_loop_device_over_a_block_device_leads_on_to_it_also_from_a_partition(
    sys: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(device: str) -> bytes:
        assert device == "/dev/7:9"
        return struct.pack("=QQQ", 6, 1234, os.makedev(254, 300)).ljust(block_devices.LOOP_INFO64_BYTES, b"\0")

    monkeypatch.setattr(block_devices, "_loop_status", status)
    sys.device("8:0")
    sys.device("254:300", slaves=("8:0",))  # LVM on a disk
    sys.device("7:9", loop_file="/dev/vg0/system (deleted)")
    sys.device("259:1", parent="7:9")
    sys.device("254:2", slaves=("259:1",))  # crypt

    seen: dict[str, None] = {}
    block_devices._collect("254:2", seen, ())

    assert set(seen) == {"254:2", "259:1", "7:9", "254:300", "8:0"}
    assert block_devices.is_bound_loop("7:9")
    assert not block_devices.is_bound_loop("8:0")


def test_a_loop_device_that_cannot_be_asked_leads_on_to_the_block_device_at_its_path(
    sys: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_devices, "_number_of", {"/dev/vg0/system": "254:0"}.__getitem__)
    sys.device("254:0")
    sys.device("7:9", loop_file="/dev/vg0/system")

    seen: dict[str, None] = {}
    block_devices._collect("7:9", seen, ())

    assert "254:0" in seen


def test_a_circle_of_layers_ends(sys: Sys, tmp_path: Path) -> None:
    own = block_devices.device_number(os.stat(tmp_path).st_dev)
    sys.device(own, loop_file=f"{tmp_path}/image")

    assert block_devices.devices_under(str(tmp_path), ()) == (own,)


def test_loop_numbers_are_those_of_whole_loop_devices(sys: Sys) -> None:
    for name in ("loop0", "loop12", "loop3", "loopback", "sda"):
        (sys.block / name).mkdir()

    assert block_devices.loop_numbers() == (0, 3, 12)


def test_block_sizes_are_those_of_the_disk_and_512_where_unknown(sys: Sys) -> None:
    sys.device("8:0")
    sys.device("8:1", parent="8:0")
    (sys.block / "8:0/queue").mkdir()
    (sys.block / "8:0/queue/logical_block_size").write_text("4096\n")
    (sys.block / "8:0/size").write_text("8\n")

    assert block_devices.logical_block_bytes("8:0") == 4096
    assert block_devices.logical_block_bytes("8:1") == 4096
    assert block_devices.logical_block_bytes("9:9") == 512
    assert block_devices.device_bytes("8:0") == 4096
    assert block_devices.device_bytes("9:9") == 0


def test_a_module_that_no_kernel_has_is_not_there() -> None:
    assert not block_devices.has_module("dm-nonsense")


def test_where_device_mapper_cannot_be_asked_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_mapper, "CONTROL", "/nonexistent/control")

    assert device_mapper.devices() == ()


def test_a_loop_device_whose_path_the_kernel_cannot_show_is_known_by_its_file_all_the_same(
    sys: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = struct.pack("=QQQ", 6, 1234, 0).ljust(block_devices.LOOP_INFO64_BYTES, b"\0")
    monkeypatch.setattr(block_devices, "_loop_status", lambda _: status)
    (sys.block / "loop3").mkdir(parents=True)
    (sys.block / "loop3/dev").write_text("7:3\n")

    assert block_devices.loops() == (Loop("/dev/loop3", "7:3", 6, 1234, ""),)
