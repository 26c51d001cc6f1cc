"""How tests in the lab look at the system itself: LVM's fields, mounts, files, processes; never through lvmsnap."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from lvmsnap.planning.lent_pvs import PV_UUID_PREFIX
from tests.lab.machine import Machine
from tests.lab.stage import KEPT
from tests.lab.support import COMMAND, ENVIRONMENT

RECORD = "/var/lib/lvmsnap/{}.json"
LVM_UUID = re.compile(r"(?<!\w)\w{6}(-\w{4}){5}-\w{6}(?!\w)|(?<=LVM-)\w{64}")


def lv(m: Machine, name: str, fields: str = "lv_name") -> list[str]:
    """Return fields of a logical volume VG/LV, sizes in bytes."""
    return _report(m, ["lvs", "-o", fields, name])


def pv(m: Machine, device: str, fields: str) -> list[str]:
    """Return fields of a physical volume, sizes in bytes."""
    return _report(m, ["pvs", "-o", fields, device])


def _report(m: Machine, command: list[str]) -> list[str]:
    options = ["--noheadings", "--units", "b", "--nosuffix", "--separator", "|"]
    return m.run([*command, *options]).stdout.strip().split("|")


def exists(m: Machine, path: str) -> bool:
    """Say whether anything is at the path."""
    return m.run(["test", "-e", path], check=False).returncode == 0


def mode(m: Machine, path: str) -> str:
    """Return kind, permissions, owner as `stat` writes them."""
    return m.run(["stat", "-c", "%F %a %U", path]).stdout.strip()


def mount_options(m: Machine, mountpoint: str) -> list[str]:
    """Return [type, source, options...] of what is mounted there, [] where nothing is."""
    line = m.run(["findmnt", "-rno", "FSTYPE,SOURCE,OPTIONS", "--mountpoint", mountpoint], check=False).stdout.split()
    return [*line[:2], *line[2].split(",")] if line else []


def without_uuids(text: str) -> str:
    """Return the text with LVM's random UUIDs made alike, those of lent PVs told apart from others."""
    return LVM_UUID.sub(lambda match: PV_UUID_PREFIX if match[0].startswith(PV_UUID_PREFIX) else "UUID", text)


@dataclass(frozen=True)
class Traced:
    """How a command of lvmsnap ended, and the command lines of all programs that were started below it."""

    returncode: int
    stdout: str
    stderr: str
    started: tuple[str, ...]


def traced(m: Machine, arguments: str) -> Traced:
    """Run lvmsnap under strace; lvmsnap itself is not among what it started."""
    # lvremove starts dmeventd where it does not run, as it does on a server, and strace would wait for its end.
    m.run("pgrep -x dmeventd > /dev/null || dmeventd")
    strace = "strace -f --seccomp-bpf -z -qq -s 999 -e trace=execve -o /run/trace"
    line = shlex.join([*strace.split(), *COMMAND])
    result = m.run(f"{line} {arguments}", env=ENVIRONMENT, check=False, timeout=120)
    calls = re.findall(r'execve\("[^"]*", \[(.*)\], ', m.read_file("/run/trace"))
    started = tuple(" ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', call)) for call in calls)
    assert "-m lvmsnap" in started[0], started
    return Traced(result.returncode, result.stdout, result.stderr, started[1:])


def kept(m: Machine) -> list[str]:
    """Give what lvmsnap keeps of profiles: all in its folders but locks, which stay, and the history of runs."""
    return m.run(KEPT).stdout.split()
