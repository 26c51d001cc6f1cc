"""Whatever keeps a snapshot's device busy is found, wherever it is mounted or was."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvmsnap.model.facts import Mount
from lvmsnap.model.lvm_names import dm_name, dm_uuid
from lvmsnap.system import (
    block_devices,
    device_mapper,
    link_devices,
    link_probe,
    mount_table,
    mount_users,
    namespaces,
    process_table,
    within_bounds,
)
from tests import samples

NUMBER = "254:3"
PLACE = samples.MOUNTPOINT
ROOT = Mount("8:1", "/", "/", "ext4", "/dev/sda1", 21, 1)
RUN = Mount("0:21", "/", "/run", "tmpfs", "tmpfs", 23, 21)
TOP = Mount(NUMBER, "/", PLACE, "ext4", "/dev/mapper/x", 40, 23)
MOVED = replace(TOP, mountpoint="/mnt/x")
KEEPER = Mount("0:4", "mnt:[9]", "/run/ns/x", "nsfs", "nsfs", 50, 23)


class Proc:
    """A made-up /proc, in which lvmsnap itself is in namespace 1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table: tuple[Mount, ...] = (ROOT, RUN)
        self.kept: dict[tuple[str, int], bytes] = {}
        self._namespace("self", 1)

    def process(self, pid: int, name: str = "backup", *, namespace: int = 1, table: tuple[Mount, ...] = ()) -> Path:
        """Make a process that has nothing open."""
        made = self._namespace(str(pid), namespace)
        for part in ("fd", "fdinfo"):
            (made / part).mkdir()
        (made / "comm").write_text(f"{name}\n")
        (made / "maps").write_text("")
        (made / "exe").symlink_to("its program")
        (made / "mountinfo").write_text("".join(line(mount) for mount in table))
        return made

    def opens(self, process: Path, link: str, mount_id: int) -> None:
        """Have the process open something in a mount."""
        number = len(list((process / "fd").iterdir()))
        (process / "fd" / str(number)).symlink_to(link)
        (process / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t0100000\nmnt_id:\t{mount_id}\n")

    def mount_table(self, path: str, inode: int) -> bytes:
        if (path, inode) not in self.kept:
            raise OSError(path)
        return self.kept[path, inode]

    def _namespace(self, pid: str, namespace: int) -> Path:
        made = self.folder / pid
        (made / "ns").mkdir(parents=True)
        (made / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
        return made


def line(mount: Mount) -> str:
    return (
        f"{mount.mount_id} {mount.parent_id} {mount.device_number} {mount.root} {mount.mountpoint} rw"
        f" - {mount.filesystem} {mount.source} {','.join(mount.filesystem_options) or 'rw'}\n"
    )


def overlay(*options: str) -> Mount:
    return Mount("0:60", "/", "/mnt/merged", "overlay", "overlay", 60, 21, filesystem_options=("rw", *options))


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    made = Proc(tmp_path / "proc")
    monkeypatch.setattr(process_table, "PROC", made.folder)
    monkeypatch.setattr(mount_table, "mounts", lambda: made.table)
    monkeypatch.setattr(block_devices, "loops", tuple)
    monkeypatch.setattr(block_devices, "holders_of", lambda _: ())
    monkeypatch.setattr(namespaces, "mount_table", made.mount_table)
    return made


@pytest.mark.parametrize("mountpoint", ["", PLACE], ids=["a device alone", "moved"])
def test_a_mount_of_the_snapshot_at_another_place_is_named(proc: Proc, mountpoint: str) -> None:
    proc.table += (MOVED,)

    assert mount_users.holders(mountpoint, NUMBER) == ("mount on /mnt/x",)
    assert mount_users.holders(mountpoint, "254:9") == ()


def test_a_mount_in_another_namespace_is_named_though_none_is_here(proc: Proc) -> None:
    proc.process(77, "sleep", namespace=2, table=(ROOT, RUN, MOVED))

    assert mount_users.holders("", NUMBER) == ("pid 77 (sleep): /mnt/x in its own mount namespace",)


def test_what_somebody_else_mounted_at_the_mountpoint_is_not_taken_for_the_snapshot(proc: Proc) -> None:
    proc.table += (replace(TOP, device_number="254:9"), replace(MOVED, mount_id=41))

    assert mount_users.holders(PLACE, NUMBER) == ("mount on /mnt/x",)


def test_a_process_in_the_directory_that_the_mount_covers_does_not_use_it(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a script that went there before it called lvmsnap: every run would wait for it in vain."""
    asked: list[tuple[list[tuple[str, str]], str]] = []
    proc.table += (TOP,)
    process = proc.process(77, "sh", table=(ROOT, RUN, TOP))
    (process / "cwd").symlink_to(PLACE)

    for is_elsewhere in (True, False):

        def ask(links: list[tuple[str, str]], number: str, said: bool = is_elsewhere) -> bool:
            asked.append((links, number))
            return said

        monkeypatch.setattr(link_devices, "are_all_elsewhere", ask)
        assert mount_users.users(PLACE) == (f"pid 77 (sh): {PLACE}",)
        assert mount_users.holders(PLACE) == (() if is_elsewhere else (f"pid 77 (sh): {PLACE}",))

    assert asked == [([(PLACE, f"{process}/cwd")], NUMBER)] * 2


def test_links_are_elsewhere_only_if_each_of_them_answers(tmp_path: Path) -> None:
    """One that is gone has answered nothing."""
    there, number = (str(tmp_path), str(tmp_path)), block_devices.device_number(tmp_path.stat().st_dev)
    gone = (f"{tmp_path}/gone", f"{tmp_path}/gone")

    assert link_devices.are_all_elsewhere([there], NUMBER)
    assert not link_devices.are_all_elsewhere([there], number)
    assert not link_devices.are_all_elsewhere([there, gone], NUMBER)


def test_the_mount_that_is_to_be_unmounted_pins_nothing(proc: Proc) -> None:
    proc.table += (TOP,)

    assert mount_users.pins(PLACE, NUMBER) == ()
    assert mount_users.pins(PLACE) == ()


def test_a_namespace_that_a_mount_keeps_without_a_process_pins_the_snapshot(proc: Proc) -> None:
    proc.table += (TOP, KEEPER)
    proc.kept["/run/ns/x", 9] = "".join(map(line, (ROOT, RUN, TOP))).encode()

    assert mount_users.pins(PLACE, NUMBER) == (f"mount on /run/ns/x: {PLACE} in the mount namespace that it keeps",)


def test_a_namespace_that_a_mount_of_another_one_keeps_is_looked_for_there(proc: Proc) -> None:
    snapd = proc.process(8, "snapd", namespace=2, table=(ROOT, RUN, KEEPER))
    proc.kept[f"{snapd}/root/run/ns/x", 9] = line(TOP).encode()

    assert mount_users.pins("", NUMBER) == (
        f"mount on /run/ns/x of pid 8 (snapd): {PLACE} in the mount namespace that it keeps",
    )


def test_a_namespace_that_an_open_descriptor_keeps_pins_the_snapshot(proc: Proc) -> None:
    runtime = proc.process(9, "runtime")
    proc.opens(runtime, "mnt:[9]", 4)
    proc.kept[f"{runtime}/fd/0", 9] = line(TOP).encode()

    assert mount_users.pins("", NUMBER) == (f"pid 9 (runtime): {PLACE} in the mount namespace that it keeps",)


def test_a_kept_namespace_that_cannot_be_read_hides_nothing_else(proc: Proc) -> None:
    proc.table += (KEEPER, MOVED)

    assert mount_users.pins("", NUMBER) == ("mount on /mnt/x",)


@pytest.mark.parametrize(
    "options",
    [
        (f"lowerdir={PLACE}:/e",),
        (f"lowerdir=/e:{PLACE}/sub",),
        (f"lowerdir=/e::{PLACE}",),
        (f"lowerdir=/e\\134:x:{PLACE}",),
        ("lowerdir+=/e", f"lowerdir+={PLACE}"),
        ("lowerdir+=/e", f"datadir+={PLACE}"),
        ("lowerdir=/e", f"upperdir={PLACE}/u", "workdir=/w"),
    ],
)
def test_an_overlay_over_the_snapshot_pins_it(proc: Proc, options: tuple[str, ...]) -> None:
    proc.table += (TOP, overlay(*options))

    assert [pin.partition(",")[0] for pin in mount_users.pins(PLACE, NUMBER)] == ["overlay on /mnt/merged"]


@pytest.mark.parametrize("options", [("lowerdir=/e",), (f"lowerdir={PLACE}2:/e",), (f"lowerdir=/e\\134:{PLACE}",)])
def test_an_overlay_over_something_else_pins_nothing(proc: Proc, options: tuple[str, ...]) -> None:
    proc.table += (TOP, overlay(*options))

    assert mount_users.pins(PLACE, NUMBER) == ()


def test_a_layer_is_found_whatever_is_in_its_name(proc: Proc) -> None:
    proc.table += (TOP, overlay(f"lowerdir=/e:{PLACE}/a\\040b\\134:c\\054d\\134\\134"))

    assert mount_users.pins(PLACE, NUMBER) == (f"overlay on /mnt/merged, made of {PLACE}/a b:c,d\\",)


def test_an_overlay_in_another_namespace_is_named_once(proc: Proc) -> None:
    above = overlay(f"lowerdir={PLACE}")
    proc.table += (TOP,)
    proc.process(8, "conmon", namespace=2, table=(ROOT, above, replace(above, mountpoint="/mnt/again")))
    proc.process(9, "sh", namespace=3, table=(ROOT, above))

    said = f"pid 8 (conmon): overlay on /mnt/merged, made of {PLACE} in its own mount namespace"
    assert mount_users.pins(PLACE, NUMBER) == (said,)


def test_an_overlay_pins_a_snapshot_that_is_mounted_elsewhere_in_that_namespace(proc: Proc) -> None:
    proc.table += (replace(TOP, mountpoint="/host"), overlay("lowerdir=/host/sub"))

    assert mount_users.pins("", NUMBER)[1:] == ("overlay on /mnt/merged, made of /host/sub",)


def test_a_file_that_is_open_in_a_mount_that_was_unmounted_lazily_is_named(proc: Proc, tmp_path: Path) -> None:
    file = tmp_path / "report"
    file.write_text("")
    number = block_devices.device_number(file.stat().st_dev)
    tail = proc.process(5, "tail")
    proc.opens(tail, str(file), 99)
    proc.opens(tail, str(file), 99)
    proc.opens(proc.process(6, "other"), str(file), ROOT.mount_id)
    proc.opens(proc.process(7, "web"), "socket:[1]", 98)

    assert mount_users.pins("", number) == (f"pid 5 (tail): {file} in a mount that was detached",)
    assert mount_users.pins("", NUMBER) == ()


@pytest.mark.parametrize("filesystem", ["ext4", "nfs4"])
def test_a_working_directory_in_a_detached_mount_is_named_and_a_network_filesystem_not_asked(
    proc: Proc, tmp_path: Path, filesystem: str
) -> None:
    proc.table = (replace(ROOT, filesystem=filesystem),)
    (proc.process(5, "sh") / "cwd").symlink_to(tmp_path)
    number = block_devices.device_number(tmp_path.stat().st_dev)

    named = (f"pid 5 (sh): {tmp_path} in a mount that was detached",)

    assert mount_users.pins("", number) == (named if filesystem == "ext4" else ())


def test_what_does_not_answer_is_named_where_asked_for_but_pins_nothing(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive, tail = proc.process(5, "dead"), proc.process(6, "alive"), proc.process(7, "tail")
    for process in (dead, alive, tail):
        proc.opens(process, str(tmp_path), 99)
    asked: list[tuple[str, ...]] = []

    def ask(look: Callable[[int], None], _seconds: float) -> bytes:
        look(1)
        return b"1 -\n2 64771\n"[: None if len(asked) == 1 else 0]

    monkeypatch.setattr(within_bounds, "ask", ask)
    monkeypatch.setattr(within_bounds, "read", lambda *_: None)  # nor does it answer stat(1)
    monkeypatch.setattr(link_probe, "answer_all", lambda links, *_: asked.append(tuple(links)))
    monkeypatch.setattr(link_devices, "_silent", set())

    assert mount_users.pins("", "253:3") == (f"pid 7 (tail): {tmp_path} in a mount that was detached",)
    assert mount_users.holders("", "253:3", with_silent=True) == (
        f"pid 5 (dead): {tmp_path} cannot be examined, since its filesystem does not answer",
    )
    assert asked == [tuple(f"{one}/fd/0" for one in (dead, alive, tail)), (f"{alive}/fd/0", f"{tail}/fd/0")]


def test_a_copy_of_the_process_asks_only_where_a_program_finds_the_device_or_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [(str(tmp_path), f"/proc/{os.getpid()}/cwd"), ("/none", "/none")]
    number = block_devices.device_number(os.stat(".").st_dev)

    assert not link_devices.are_elsewhere(links, number)
    assert link_devices.are_elsewhere(links, NUMBER)
    assert link_devices.are_elsewhere([], NUMBER)
    monkeypatch.setattr(link_devices, "_silent", {links[1]})
    assert not link_devices.are_elsewhere(links, NUMBER)
    monkeypatch.setattr(link_devices, "_silent", set())
    for printed in (None, "", "1\n"):  # not answered in time, or no stat(1) that knows its work
        monkeypatch.setattr(within_bounds, "read", lambda *_, printed=printed: printed)
        assert not link_devices.are_elsewhere(links, NUMBER)


def test_links_are_asked_for_their_device_unless_their_mount_is_known(tmp_path: Path) -> None:
    links = [(str(tmp_path), f"/proc/{os.getpid()}/cwd"), ("/none", "/none")]
    here = os.open(".", os.O_PATH)
    known = link_probe.mount_id(Path(f"/proc/self/fdinfo/{here}").read_bytes())
    os.close(here)

    number = block_devices.device_number(os.stat(".").st_dev)
    assert link_devices.device_numbers(links, ()) == {links[0][1]: number}
    assert link_devices.device_numbers(links, (known,)) == {}


def test_where_nothing_at_all_is_answered_nobody_is_suspected(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.opens(proc.process(5), str(tmp_path), 99)
    monkeypatch.setattr(within_bounds, "ask", lambda *_: b"")
    monkeypatch.setattr(within_bounds, "read", lambda *_: None)

    assert mount_users.holders("", NUMBER, with_silent=True) == ()


def test_the_snapshots_device_is_found_though_its_group_was_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "LVM-" + samples.VG_UUID.replace("-", "")
    names = ("new-x--" + dm_name("y", samples.SNAPSHOT).removeprefix("y-"), dm_name("new", samples.SNAPSHOT) + "-cow")
    others = tuple(replace(samples.dm(name, f"{group}other"), device_number="254:8") for name in names)
    foreign = replace(samples.dm(dm_name("vg1", samples.SNAPSHOT), "LVM-foreign"), device_number="254:7")
    ours = samples.dm(dm_name("new-vg", samples.SNAPSHOT), f"{group}own")
    monkeypatch.setattr(device_mapper, "devices", lambda: (*others, foreign, ours))

    assert mount_users.snapshot_number(samples.TAKEN) == "254:9"


def test_the_snapshots_device_is_found_by_its_uuid_whatever_its_name_is(monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = dm_uuid(samples.VG_UUID, samples.SNAPSHOT_UUID)
    of_old_name = replace(samples.dm(dm_name("vg0", samples.SNAPSHOT), "LVM-new"), device_number="254:7")
    cow = replace(samples.dm("vg1-other-cow", f"{uuid}-cow"), device_number="254:8")
    devices = (of_old_name, cow, samples.dm("vg1-other", uuid))
    monkeypatch.setattr(device_mapper, "devices", lambda: devices)

    assert mount_users.snapshot_number(replace(samples.TAKEN, dm_uuid=uuid)) == "254:9"
    monkeypatch.setattr(device_mapper, "devices", lambda: devices[:2])
    assert mount_users.snapshot_number(replace(samples.TAKEN, dm_uuid=uuid)) == ""


def test_the_mount_table_of_another_file_than_the_namespaces_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    for path, inode in ((file, file.stat().st_ino), (file, 1), (tmp_path / "none", 1)):
        with pytest.raises(OSError, match="cannot be read"):
            namespaces.mount_table(str(path), inode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter a mount namespace")
def test_a_mount_namespace_is_read_and_the_reader_stays_in_its_own() -> None:
    before = os.readlink("/proc/self/ns/mnt")

    # Our own is one like any other; CI may not be allowed to enter even that.
    try:
        table = namespaces.mount_table("/proc/self/ns/mnt", os.stat("/proc/self/ns/mnt").st_ino)
    except OSError:
        pytest.skip("a mount namespace cannot be entered here")

    assert [m.mountpoint for m in mount_table.parse_mounts(table)] == [m.mountpoint for m in mount_table.mounts()]
    assert os.readlink("/proc/self/ns/mnt") == before


def test_what_a_process_has_open_is_read_once_and_what_is_no_file_is_not_examined(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = proc.process(7, "tail")
    proc.opens(process, "/srv/file", 23)
    proc.opens(process, "socket:[1]", 9)
    read: list[Path] = []
    examined: list[int | str] = []
    links, fdinfo = process_table.links, link_probe.fdinfo

    def read_links(folder: Path) -> Iterator[tuple[str, str]]:
        read.append(folder)
        return links(folder)

    def examine(of: str, descriptor: int | str) -> bytes:
        examined.append(descriptor)
        return fdinfo(of, descriptor)

    monkeypatch.setattr(process_table, "links", read_links)
    monkeypatch.setattr(link_probe, "fdinfo", examine)

    assert mount_users.pins("", NUMBER) == ()

    assert read == [process]
    assert examined == ["0"]
