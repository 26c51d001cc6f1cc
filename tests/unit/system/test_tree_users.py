"""A tree of mounts does not keep itself busy, nor does the server that uses what is included; who works in it does."""

from __future__ import annotations

from dataclasses import replace

from lvmsnap.model.facts import Mount
from lvmsnap.model.target import Include, MountTarget, Target
from lvmsnap.system import tree_users
from tests import samples
from tests.unit.system.test_mount_users import PLACE, ROOT, RUN, TOP, Proc, proc

__all__ = ["proc"]

HOME = Mount("254:4", "/", f"{PLACE}/home", "ext4", "/dev/mapper/y", 41, TOP.mount_id)
BOOT = Mount("8:2", "/", "/boot", "ext4", "/dev/sda2", 24, ROOT.mount_id)
INCLUDED = replace(BOOT, mountpoint=f"{PLACE}/boot", mount_id=42, parent_id=TOP.mount_id)


def tree() -> Target:
    """Root and home as snapshots, and /boot as it is."""
    where = MountTarget(INCLUDED.mountpoint, "none", (), make_directory=False, remove_directory=False)
    at_home = replace(samples.TAKEN, mount=replace(where, mountpoint=HOME.mountpoint, filesystem="ext4"))
    return samples.target(
        snapshots=(samples.TAKEN, at_home), tree=PLACE, includes=(Include("/boot", "8:2", "/", where),)
    )


def test_a_tree_at_rest_is_used_by_nobody(proc: Proc) -> None:
    proc.table = (ROOT, RUN, BOOT, TOP, HOME, INCLUDED)
    on_server = proc.process(7, "grub")
    proc.opens(on_server, "/boot/grub.cfg", BOOT.mount_id)
    (on_server / "maps").write_text("7f00-7f01 r--p 0 08:02 12 /boot/grub/font\n")

    assert tree_users.at_work(tree()) == ()


def test_who_works_in_any_part_of_the_tree_is_named_and_so_is_a_mount_of_somebody_elses(proc: Proc) -> None:
    other = Mount("0:50", "/", f"{PLACE}/home/x", "tmpfs", "tmpfs", 60, HOME.mount_id)
    proc.table = (ROOT, RUN, BOOT, TOP, HOME, INCLUDED, other)
    proc.opens(proc.process(8, "tar"), f"{PLACE}/home/file", HOME.mount_id)
    proc.opens(proc.process(9, "cp"), f"{INCLUDED.mountpoint}/vmlinuz", INCLUDED.mount_id)

    found = tree_users.at_work(tree())

    assert sorted(found) == [
        f"mount on {other.mountpoint}",
        f"pid 8 (tar): {PLACE}/home/file",
        f"pid 9 (cp): {INCLUDED.mountpoint}/vmlinuz",
    ]
    assert tree_users.in_includes(tree()) == (f"pid 9 (cp): {INCLUDED.mountpoint}/vmlinuz",)
