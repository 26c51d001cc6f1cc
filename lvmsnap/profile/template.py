"""The text of a first profile, for `lvmsnap init`. Pure."""

from __future__ import annotations

from lvmsnap.model import lvm_names
from lvmsnap.model.errors import UsageError

TEMPLATE = """\
# Save this as /etc/lvmsnap/NAME.yaml, owned by root, writable by nobody else.
# `lvmsnap schema` prints every key with its meaning,
# `lvmsnap plan NAME` shows what this profile does.
description: Snapshot of {origin} for the backup
volumes:
  - origin: {origin}
    size: 4GiB        # room for changes to the origin; or 20%ORIGIN, 50%FREE
    # mountpoint: /media/snapshot   # default: /run/lvmsnap/NAME
# If the group has no room, a temporary file on another disk can lend it some:
# backing_file:
#   path: /mnt/other_disk/lvmsnap.tmp
#   max_size: 20GiB   # it may grow to this while `lvmsnap run` or `watch` guards it
# Commands of your own, to hold a database still while the snapshot is taken:
# hooks:
#   before_snapshot: [/usr/local/sbin/database-lock]
#   after_snapshot: [/usr/local/sbin/database-unlock]
"""


def text(origin: str) -> str:
    """Return a first profile for origin "VG/LV". Raises UsageError where that is no such name."""
    vg, slash, lv = origin.removeprefix("/dev/").partition("/")
    problem = lvm_names.origin_name_problem(vg, lv) if slash else "is not of the form VG/LV"
    if problem:
        raise UsageError(f"{origin} {problem}", hint="lvs -o vg_name,lv_name lists the volumes")
    return TEMPLATE.format(origin=f"{vg}/{lv}")
