"""Systems with one thing wrong with the space, the backing file, its loop device or the mountpoint."""

from __future__ import annotations

from dataclasses import replace

from lvmsnap.model.looked import Gate
from lvmsnap.model.lvm_names import dm_uuid
from lvmsnap.model.units import MIB
from tests import samples
from tests.samples import FILE_FACTS, LOOP, ORIGIN_UUID, OTHER_UUID, VG_UUID
from tests.unit.planning.bad_systems import (
    ALLOWED,
    AT,
    FILTERED,
    Bad,
    beneath,
    directory,
    group,
    mountpoint,
    ring,
)

BAD_PLACES = {
    "fewer than three chunks": Bad(
        group(extent_size_bytes=MIB),
        "the snapshot has no room for three chunks: 1 MiB of at least 1.5 MiB",
        "a smaller `chunk_size`",
        samples.profile("volumes: [{origin: vg0/system, size: 1MiB, chunk_size: 512KiB}]"),
    ),
    "no space": Bad(
        group(free_extents=3),
        "not enough space for the snapshot: 64 MiB needed, 12 MiB available",
        "give a smaller `size`, at most 12MiB, or a `backing_file`, which lends the group space of another filesystem "
        "while the profile is up",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only lent space of another profile": Bad(
        group(
            free_extents=16, pvs=(replace(samples.DISK, allocated_extents=5000), samples.lent_pv(allocated_extents=0))
        ),
        "not enough space for the snapshot: 64 MiB needed, 0 B available",
        "a `backing_file`",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only space that is not allocatable": Bad(
        group(pvs=(replace(samples.DISK, allocatable=False),)),
        "not enough space for the snapshot: 64 MiB needed, 0 B available; 7.812 GiB more on /dev/sda2, not allocatable",
        "or make them allocatable: pvchange --allocatable y /dev/sda2",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "only space that is missing": Bad(
        group(pvs=(replace(samples.DISK, missing=True),)),
        "not enough space for the snapshot: 64 MiB needed, 0 B available",
        "a `backing_file`",
        samples.profile("volumes: [{origin: vg0/system, size: 64MiB}]"),
    ),
    "file and group too small": Bad(
        group(free_extents=1),
        "not enough space for the snapshot: 64 MiB needed, 36 MiB available",
        "give a smaller `size`, at most 36MiB, or `backing_file.size` at least 61MiB (leave it out, and it is as large "
        "as is needed)",
        samples.with_file("size: 33MiB"),
    ),
    "file too large": Bad(
        samples.facts(),
        "others can allocate on the lent space: 64 MiB of it stay unused",
        "leave it out",
        samples.with_file("size: 129MiB"),
    ),
    "file there": Bad(samples.facts(file=FILE_FACTS), "/srv/space/lent exists already", "ls -l"),
    "file there, attached by a script": Bad(
        samples.facts(file=FILE_FACTS, loops=(replace(LOOP, device="/dev/loop3"),)),
        "/srv/space/lent exists already: attached to /dev/loop3",
        "see who uses it: pvs /dev/loop3; if nobody does: losetup --detach /dev/loop3, and remove it",
    ),
    "no directory": Bad(directory(exists=False), "there is no directory /srv/space", "make it"),
    "tmpfs": Bad(directory(filesystem="tmpfs"), "/srv/space cannot hold a backing file: tmpfs", "ext4 or xfs"),
    "nfs": Bad(directory(filesystem="nfs4"), "/srv/space cannot hold a backing file: nfs4", "network"),
    "btrfs below": Bad(directory(filesystem="btrfs"), "/srv/space cannot hold a backing file: btrfs", "copy-on-write"),
    "writable by others": Bad(
        directory(gates=(Gate("/srv", 1000, 0, 0o755),)),
        "/srv/space can be changed by others: /srv belongs to user 1000",
        "make it root's",
    ),
    "disk too full": Bad(
        directory(available_bytes=70 * 1024**2),
        "no room for the backing file: 65 MiB needed, 63 MiB (90 % of what is available) may be used",
        "smaller `size`",
    ),
    "file on its own origin": Bad(
        beneath(dm_uuid(VG_UUID, ORIGIN_UUID)),
        "backing file /srv/space/lent lies on the origin: vg0-below",
        "another disk",
    ),
    "file on its own origin, through -real": Bad(
        beneath(f"{dm_uuid(VG_UUID, ORIGIN_UUID)}-real"),
        "backing file /srv/space/lent lies on the origin: vg0-below",
        "another disk",
        ALLOWED,
    ),
    "file whose own disk's snapshot lies on the origin": Bad(
        ring(),
        "backing file /srv/space/lent lies on the origin: vg0-system, by way of vg1/taken (profile weekly)",
        "take vg1/taken (profile weekly) down first",
        ALLOWED,
    ),
    "file in the same group": Bad(
        beneath(dm_uuid(VG_UUID, OTHER_UUID)),
        "backing file /srv/space/lent lies in vg0: on vg0-below",
        "allow_same_vg",
    ),
    "loop device taken": Bad(
        samples.facts(loops=(replace(LOOP, device="/dev/loop5", file_path="/x"),)),
        "/dev/loop5 is in use: attached to /x",
        "loop_device: auto",
        samples.with_file("loop_device: /dev/loop5"),
    ),
    "filtered": Bad(FILTERED, "LVM's global_filter rejects loop devices: by r|.*|", "global_filter = ["),
    "mountpoint mounted": Bad(
        mountpoint("mounted"), f"mountpoint {AT} cannot be used: something is mounted there", f"findmnt {AT}"
    ),
    "mountpoint a symlink": Bad(
        mountpoint("symlink"), f"mountpoint {AT} cannot be used: it is a symlink", "the directory itself"
    ),
    "mountpoint a file": Bad(
        mountpoint("no directory"), f"mountpoint {AT} cannot be used: it is a file, not a directory", "another"
    ),
    "mountpoint not empty": Bad(
        mountpoint("not empty"),
        f"mountpoint {AT} cannot be used: the directory is not empty, or cannot be read",
        "empty it",
    ),
    "mountpoint without parent": Bad(
        mountpoint("no parent"), f"mountpoint {AT} cannot be used: its parent directory does not exist", "make it"
    ),
    "mountpoint behind a symlink": Bad(
        mountpoint("absent", "/media/x"), f"a symlink leads to {AT}: it resolves to /media/x", "write /media/x"
    ),
    "mountpoint in fstab": Bad(
        mountpoint("empty", claimed_by="/etc/fstab"), f"/etc/fstab mounts on {AT} too", "another"
    ),
}
