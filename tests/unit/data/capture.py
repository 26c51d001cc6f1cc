"""Captures tests/unit/data anew from real LVM in the lab: `python -m tests.unit.data.capture`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from lvmsnap.system.lvm_report import report_command
from tests.lab.machine import GiB, Machine

HERE = Path(__file__).parent

# A group with a valid snapshot on a lent PV, an invalid and a merging one, a thin pool with a snapshot, a cached LV;
# a group whose lent PV is missing and whose own is not allocatable; a PV in no group; mounts with a space in the
# name and of one directory twice.
SCRIPT = r"""
set -e
mkfs.ext4 -q /dev/ubdd; mkdir -p /srv/space; mount /dev/ubdd /srv/space
fallocate -l 65M /srv/space/lent; fallocate -l 65M /srv/space/lost
losetup /dev/loop3 /srv/space/lent; losetup /dev/loop4 /srv/space/lost
own="--metadatacopies 0 --norestorefile --dataalignment 1m"
vgcreate -q vg0 /dev/ubda
vgcreate -q vg1 /dev/ubdb
pvcreate -q -y $own --uuid lvmsnp-1234-aaaa-bbbb-cccc-dddd-eeeeee /dev/loop3
pvcreate -q -y $own --uuid lvmsnp-5678-aaaa-bbbb-cccc-dddd-eeeeee /dev/loop4
pvcreate -q -y /dev/ubdc
vgextend -q vg0 /dev/loop3
vgextend -q vg1 /dev/loop4
lvcreate -q -y -L 64M -n system vg0; mkfs.ext4 -q /dev/vg0/system
lvcreate -q -y -L 32M -n data-2 --addtag backup --addtag second vg0 /dev/ubda
lvcreate -q -y --poolmetadataspare n -L 32M -T vg0/pool -V 64M -n thin /dev/ubda
lvcreate -q -y -s -l 16 -c 64k -n system-lvmsnap-nightly --addtag lvmsnap.nightly --monitor n vg0/system /dev/loop3
lvcreate -q -y -s -l 1 -n overflown --addtag lvmsnap.small --monitor n vg0/data-2 /dev/ubda
dd if=/dev/urandom of=/dev/vg0/data-2 bs=1M count=16 oflag=direct status=none
lvcreate -q -y -L 16M -n merged vg0 /dev/ubda; mkfs.ext4 -q /dev/vg0/merged
mkdir /mnt/merged; mount /dev/vg0/merged /mnt/merged
lvcreate -q -y -s -L 8M -n going-back --addtag backup --monitor n vg0/merged /dev/ubda
lvconvert -q -y --merge vg0/going-back
lvcreate -q -y -L 16M -n cached vg0 /dev/ubda
lvcreate -q -y --type cache-pool --poolmetadataspare n -L 8M -n fast vg0 /dev/ubda
lvconvert -q -y --type cache --cachepool fast vg0/cached
lvcreate -q -y -s -n thin-weekly --setactivationskip y --ignoreactivationskip --addtag backup vg0/thin
lvcreate -q -y -L 64M -n home vg1
lvcreate -q -y -s -l 16 -n home-lvmsnap-weekly --addtag lvmsnap.weekly --monitor n vg1/home /dev/loop4
pvchange -q --allocatable n /dev/ubdb
vgchange -q -an vg1
losetup -d /dev/loop4; sleep 1
mkdir -p '/mnt/with space\and backslash' /run/lvmsnap/nightly
mount -o ro,noload /dev/vg0/system-lvmsnap-nightly /run/lvmsnap/nightly
mount --bind /srv/space '/mnt/with space\and backslash'
mount -t tmpfs none /mnt; mount -t tmpfs none /mnt
"""


def main() -> None:
    """Boot a guest, make the situation, write what its LVM and its kernel say."""
    with Machine(dict.fromkeys(("ubda", "ubdb", "ubdc", "ubdd"), GiB)) as machine:
        machine.boot()
        machine.run(SCRIPT, timeout=600)
        report = machine.run(shlex.join(report_command(locking=False)), check=False)
        print(f"exit {report.returncode}\n{report.stderr}")
        text = json.dumps(json.loads(report.stdout), indent=1)
        (HERE / "fullreport.json").write_text(f"{text}\n")
        (HERE / "mountinfo").write_text(machine.read_file("/proc/self/mountinfo"))
        print(machine.run("dmsetup info -c; lvs -o+tags,devices -a; vgs; pvs; losetup").stdout)


if __name__ == "__main__":
    main()
