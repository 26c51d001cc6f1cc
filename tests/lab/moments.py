"""Every moment of `up` and of `down`: what lvmsnap leaves where it is killed, or the power fails, right then.

A power cut is what the disks hold at that moment. While lvmsnap waits at a command, the guest's kernel is stopped and
its disks are copied, exactly what SIGKILL would leave; a machine with these disks is then booted.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lvmsnap.install import boot_parts
from tests.lab import boot_script
from tests.lab.faults import BIN, FILE, MOUNTPOINT, ORIGIN, SPACE
from tests.lab.helpers import fingerprint
from tests.lab.machine import Job, Machine, MiB
from tests.lab.stage import MOUNTS, PROFILES, Scene
from tests.lab.support import lvmsnap, start_lvmsnap

LEND, TAKE_BACK = ("sh", "fallocate", "losetup", "pvcreate", "vgextend"), ("vgreduce", "pvremove", "losetup", "rm")
# The commands of each plan, in order. In a set the first lvm prepares the snapshots, the second waits until dmsetup
# holds the origins.
WALKS: dict[str, tuple[str, ...]] = {
    "up lent": (*LEND, "lvcreate", "mount"),
    "up plain": ("lvcreate", "mount"),
    "up set": (*LEND, "lvm", "lvm 2", "dmsetup", "mount"),
    "down lent": ("umount", "rmdir", "lvremove", *TAKE_BACK),
    "down plain": ("umount", "rmdir", "lvremove"),
    "down set": ("umount", "rmdir", "lvremove", "lvremove 2", *TAKE_BACK),
}
# The markers after which these write to a disk at once, so that a moment within them is the one of their first write.
WRITING = {
    **{f"before {name}": name for name in ("pvcreate", "vgextend", "lvcreate", "lvm", "dmsetup")},
    "after dmsetup": "lvm 2",
    **{f"before {name}": name for name in ("lvremove", "lvremove 2", "vgreduce", "pvremove")},
}

STATE_DIR = "/var/lib/lvmsnap"
FOLDERS = ("/etc/lvmsnap", STATE_DIR, "/media", SPACE)
OTHER = "/srv/other"
SET = f"""volumes:
- {{origin: vg0/system, snapshot: snap, size: 16MiB, mountpoint: {MOUNTPOINT}}}
- {{origin: vg0/other, snapshot: snap_other, size: 8MiB, mountpoint: null}}
backing_file: {{path: {FILE}}}
"""
DISKS = {"ubda": 128 * MiB, "ubdb": 64 * MiB, "ubdc": 16 * MiB}
GO, MET = "/run/go", "/run/met"
JOURNAL = f"{ORIGIN}/journal"
# Writes files to the origin, and an empty journal; says the files' checksums.
ADD_DATA = f"""mkdir {ORIGIN}/data; cd {ORIGIN}/data
for i in $(seq 12); do head -c 1000000 /dev/urandom > $i; done; : > {JOURNAL}; md5sum *; cd /"""


@dataclass(frozen=True)
class Moment:
    """A moment of a walk: before, within or after a command."""

    walk: str
    command: str
    when: str

    def __str__(self) -> str:
        """Its name among the tests."""
        return f"{self.walk}, {self.when} {self.command}"


def _moments(whens: Iterable[str]) -> tuple[Moment, ...]:
    return tuple(
        Moment(walk, command, when)
        for walk, commands in WALKS.items()
        for command in commands
        for when in whens
        if when != "within" or command in WRITING.values()
    )


def _is_last(moment: Moment) -> bool:
    return moment.command == WALKS[moment.walk][-1]


# After a command is before the next one, but for what lvmsnap writes into its record in between.
EVERY_CUT = _moments(("before", "within", "after"))
SOME_CUTS = tuple(moment for moment in EVERY_CUT if moment.when != "after" or _is_last(moment))
# Killed before the command starts, or as it starts, so that it goes on alone.
KILLS = _moments(("before", "as it starts"))


# --- recording ------------------------------------------------------------------------------------------------------

# Each command tells its moment by a file in /lab and waits to be sent on; what it wrote to the origin is on the disk.
# Around dmsetup the origin takes no writes.
WRAPPER = f"""#!/bin/sh
name=${{0##*/}} wrapped=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
real=$(command -v "$name")
# The shell that opens the file for fallocate becomes fallocate itself.
moment=$name
case "$name $* " in
*" fallocate "*) moment=fallocate ;;
"lvm /dev/fd/0 " | "dmsetup suspend "*) ;;
"lvm "* | "dmsetup "* | "sh "*" lvm "*) PATH=$wrapped exec "$real" "$@" ;;
esac
[ ! -e "{MET}/$moment" ] || moment="$moment 2"
: > "{MET}/$moment"
hold() {{
    [ "$name" = dmsetup ] || {{ echo "$1 $moment" >> {JOURNAL}; sync {JOURNAL}; }}
    : > "/lab/moments/$1 $moment"
    read -r _ < {GO}
}}
hold before
"$real" "$@"
status=$?
hold after
exit $status
"""


def scene(more_mounts: Mapping[str, str] | None = None, more: str = "true") -> Scene:
    """Give the stage of the moments: the usual one, and another volume, for the profile of a set."""
    return Scene(
        volumes={"system": "64M", "other": "16M"},
        mounts={**MOUNTS, "other": OTHER, **(more_mounts or {})},
        profiles={**PROFILES, "set": SET},
        more=f"{more}; {ADD_DATA}",
    )


@dataclass(frozen=True)
class Cut:
    """What the disks held at a moment: a folder of images, and what had been written to the origin and synced."""

    folder: Path
    journal: str


@dataclass
class Recorder:
    """A guest with the stage, and the disks as they were at each moment of the walks it has done so far."""

    machine: Machine
    folder: Path
    sums: str = ""
    cuts: dict[Moment, Cut] = field(default_factory=dict)

    @property
    def template(self) -> Cut:
        """The disks before any walk."""
        return Cut(self.folder / "template", "")

    def build(self) -> None:
        """Boot, and build group, origin with its data, file system for backing files, state folder."""
        self.machine.boot()
        programs = {command.split()[0] for commands in WALKS.values() for command in commands}
        wrappers = "; ".join(f"printf %s {shlex.quote(WRAPPER)} > {BIN}/{name}" for name in programs)
        make_wrappers = f"mkfifo {GO}; mkdir {BIN}; {wrappers}; chmod +x {BIN}/*; chmod 700 {STATE_DIR}"
        self.sums = scene({"/dev/ubdc": STATE_DIR}, make_wrappers).build(self.machine)
        (self.machine.work / "moments").mkdir()
        self._copy(self.template.folder)

    def cut(self, moment: Moment) -> Cut:
        """Give the disks at a moment; record its walk first where that was not done yet."""
        if moment not in self.cuts:
            self._record(moment.walk)
        return self.cuts[moment]

    def _record(self, walk: str) -> None:
        profile = walk.split()[1]
        if walk.startswith("down"):
            lvmsnap(self.machine, f"up {profile}")
        self.machine.run(f"rm -rf {MET}; mkdir {MET}; : > {JOURNAL}; sync")
        job = start_lvmsnap(self.machine, walk, path=BIN)
        seen: list[str] = []
        while marker := self._next_marker(job):
            seen.append(marker)
            self._take(walk, marker, "".join(f"{line}\n" for line in seen if not line.endswith("dmsetup")))
        ended = job.wait()
        assert ended.returncode == 0, ended.stderr
        markers = [f"{when} {command}" for command in WALKS[walk] for when in ("before", "after")]
        assert sorted(seen) == sorted(markers)
        if walk.startswith("up"):
            lvmsnap(self.machine, f"down {profile}")

    def _next_marker(self, job: Job) -> str:
        markers = self.machine.work / "moments"
        _wait_until(lambda: job.poll() is not None or any(markers.iterdir()), 60)
        return next((path.name for path in markers.iterdir()), "")

    def _take(self, walk: str, marker: str, journal: str) -> None:
        """Copy the disks at a marker, send lvmsnap on, and copy them again at the command's first write."""
        when, command = marker.split(maxsplit=1)
        self._keep(Moment(walk, command, when), journal)
        (self.machine.work / "moments" / marker).unlink()
        before = self._written()
        self.machine.run(f"echo > {GO}")
        within = Moment(walk, WRITING.get(marker, ""), "within")
        if within in EVERY_CUT:
            _wait_until(lambda: self._written() != before, 30, pause=0.001)
            self._keep(within, journal)

    def _written(self) -> list[int]:
        return [self.machine.disk_image(disk).stat().st_mtime_ns for disk in DISKS]

    def _keep(self, moment: Moment, journal: str) -> None:
        self.cuts[moment] = Cut(self.folder / str(moment), journal)
        self._copy(self.cuts[moment].folder)

    def _copy(self, target: Path) -> None:
        target.mkdir(parents=True)
        with stopped(self.machine):
            copy_images([self.machine.disk_image(disk) for disk in DISKS], target)


def copy_images(images: Iterable[Path], target: Path) -> None:
    """Copy disk images, holes kept."""
    subprocess.run(["cp", "--sparse=always", *map(str, images), str(target)], check=True)


@contextmanager
def stopped(machine: Machine) -> Iterator[None]:
    """Stop the guest's kernel for a while; it writes nothing then."""
    pid = int((machine.work / "uml/lab/pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.02)  # a write that was under way ends
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _wait_until(condition: Callable[[], bool], timeout: float, pause: float = 0.02) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"nothing came within {timeout} s"
        time.sleep(pause)


# --- booting from what was recorded ---------------------------------------------------------------------------------

FSTAB = f"""/dev/vg0/system {ORIGIN} ext4 defaults,x-systemd.device-timeout=30s 0 0
/dev/vg0/other {OTHER} ext4 defaults,x-systemd.device-timeout=30s 0 0
/dev/ubdb {SPACE} ext4 defaults 0 0
/dev/ubdc {STATE_DIR} ext4 defaults 0 0
"""
WAIT_BOOT = "systemctl is-system-running --wait"
TIMES = "systemctl show -p ExecMainStartTimestampMonotonic -p ExecMainExitTimestampMonotonic lvmsnap-recover.service"


def install(machine: Machine) -> None:
    """Put into the machine what its boot is to find: profiles, fstab, the files of install-boot, the folders."""
    top = machine.work / "overlay"
    files = {"/etc/fstab": FSTAB}
    for file in boot_parts.wanted_files((boot_parts.System.SYSTEMD,)):
        files[file.path] = boot_script.content(file)
    for path, text in files.items():
        target = top / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    wants = top / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    for unit in ("lvmsnap-recover.service", "lvmsnap-shutdown.service"):
        (wants / unit).symlink_to(f"../{unit}")
    for folder in (ORIGIN, OTHER, SPACE, STATE_DIR):
        (top / folder.lstrip("/")).mkdir(parents=True)


def boot_from(machine: Machine, cut: Cut) -> float:
    """Boot the machine as if its power came back; give the seconds that `lvmsnap recover` took in that."""
    machine.cut_power()
    copy_images([cut.folder / f"{disk}.img" for disk in DISKS], machine.work)
    machine.boot(systemd=True)
    said = machine.run(f"{WAIT_BOOT}; {TIMES}").stdout
    start, end = (int(number) for number in re.findall(r"TimestampMonotonic=(\d+)", said))
    return (end - start) / 1_000_000


def look(machine: Machine) -> str:
    """Give all that must be as before, in an order of its own, since systemd mounts in any order."""
    lines = fingerprint(machine, FOLDERS).splitlines()
    return "\n".join(sorted(line for line in lines if not re.search(r" (/run/credentials|/dev|/sys|/proc)", line)))


# Mounted anew its files come from the disk.
CHECK_ORIGIN = f"""exec 2>&1
set -e
umount {ORIGIN}
e2fsck -fn /dev/vg0/system > /run/e2fsck 2>&1 || {{ cat /run/e2fsck; exit 1; }}
mount /dev/vg0/system {ORIGIN}
echo sound
cd {ORIGIN}/data
echo "$SUMS" | md5sum --quiet --check && echo data equal
cd /
[ "$(cat {ORIGIN}/journal)" = "$JOURNAL" ] && echo journal equal
echo alive > {ORIGIN}/written && sync {ORIGIN}/written
rm {ORIGIN}/written
"""


def check_origin(machine: Machine, sums: str, journal: str) -> str:
    """Read the origin's files from its disk, write to it, check its file system; give what is wrong, "" if nothing."""
    env = {"SUMS": sums.strip(), "JOURNAL": journal.strip()}
    said = machine.run(CHECK_ORIGIN, env=env, check=False, timeout=30).stdout
    return "" if said == "sound\ndata equal\njournal equal\n" else said or "nothing was said"
