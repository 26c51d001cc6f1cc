"""A server whose root filesystem is on LVM: Python, LVM, the shell and lvmsnap itself are read from it.

It is entered by a mount namespace of its own on a guest, which takes seconds; `/dev`, `/proc`, `/sys` and `/run` are
the guest's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import TOP
from tests.lab.machine import Machine, Result

PROGRAMS = (
    *("sh", "cat", "cp", "date", "echo", "env", "find", "grep", "kill", "ls", "md5sum", "mkdir", "printf", "readlink"),
    *("rm", "rmdir", "sleep", "sort", "stat", "sync", "tar", "touch", "true", "xargs", "findmnt", "mount", "umount"),
    *("blkid", "cryptsetup", "dmsetup", "fallocate", "losetup", "lvm", "strace", "udevadm", "wipefs"),
)
LVM_LINKS = ("lvchange", "lvcreate", "lvremove", "lvs", "pvcreate", "pvremove", "pvs", "vgextend", "vgreduce", "vgs")
PACKAGES = (
    *("yaml", "jsonschema", "jsonschema_specifications", "referencing", "rpds", "attr", "attrs", "rich", "pygments"),
    *("markdown_it", "mdurl", "typing_extensions.py", "_yaml"),
)
SKIPPED = {
    "site-packages",
    "dist-packages",
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
}
SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/usr/bin/python3"
COMMAND = (
    f"env PATH=/usr/sbin:/usr/bin PYTHONHOME=/usr PYTHONPATH=/opt/lvmsnap PYTHONDONTWRITEBYTECODE=1 {PYTHON} -m lvmsnap"
)

UNPACK = r"""set -e
cd "$1"
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 dev proc sys run tmp var etc/lvmsnap srv root
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
tar -xf /lab/root.tar --keep-directory-symlink
cp -a /etc/lvm /etc/machine-id /etc/passwd /etc/group etc
for name in {links}; do ln -s lvm usr/sbin/$name; done
mkdir -p lib/modules; cp -a "$(readlink -f /lib/modules/$(uname -r))" lib/modules/
"""
ENTER = r"""set -e
cd "$1"
for place in dev proc sys run; do mount --rbind /$place $place; done
mount -t tmpfs tmpfs tmp; mkdir tmp/old
pivot_root . tmp/old; cd /; umount -l /tmp/old
: > /run/entered
exec sleep 100000
"""


@dataclass(frozen=True)
class OwnRoot:
    """The server: the guest it is on, in which /run/keeper is the process that keeps its mount namespace."""

    machine: Machine

    def line(self, command: str) -> str:
        """Return a shell's line that runs a command on the server; it is replaced by it."""
        return f"exec nsenter -t $(cat /run/keeper) -m -- {command}"

    def run(self, script: str, **options: float | bool) -> Result:
        """Run a shell script on the server."""
        argv = ["sh", "-c", 'exec nsenter -t "$(cat /run/keeper)" -m -- /bin/sh -c "$1"', "sh", script]
        return self.machine.run(argv, **options)  # type: ignore[arg-type]

    def lvmsnap(self, arguments: str) -> Result:
        """Run lvmsnap on the server; the test fails where it does."""
        result = self.run(f"{COMMAND} {arguments}", check=False, timeout=180)
        assert result.returncode == 0, f"{result.returncode}: {result.stdout}{result.stderr}"
        return result


def command(path: str) -> str:
    """Return the command line of lvmsnap; `path` goes before PATH."""
    return COMMAND.replace("PATH=", f"PATH={path}:", 1) if path else COMMAND


def fill(m: Machine, place: str) -> None:
    """Put a root filesystem onto what is mounted at the place."""
    if not (m.work / "root.tar").exists():
        _archive(m.work / "root.tar")
    script = UNPACK.replace("{links}", " ".join(LVM_LINKS))
    m.run(["sh", "-c", script, "sh", place], timeout=180)


def enter(m: Machine, place: str) -> OwnRoot:
    """Make what is mounted at the place the root of a mount namespace."""
    m.run("modprobe -a dm-snapshot dm-mirror; rm -f /run/entered", check=False)
    unshared = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"echo $$ > /run/keeper; {ENTER}"]
    m.start([*unshared, "sh", place])
    m.run("until [ -e /run/entered ]; do sleep 0.1; done", timeout=20)
    return OwnRoot(m)


def _archive(target: Path) -> None:
    """Make the archive of programs, libraries, Python and lvmsnap, as they are on this machine."""
    with tarfile.open(target, "w", dereference=True) as archive:
        for source, name in _contents():
            archive.add(source, name, filter=lambda member: member if _is_needed(member.name) else None)


def _is_needed(name: str) -> bool:
    return not SKIPPED & set(name.split("/")) and not name.endswith(".a")


def _contents() -> Iterator[tuple[Path, str]]:
    """Yield what the server needs, and where it has it."""
    site = Path(sysconfig.get_path("purelib"))
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    programs = [Path(found) for name in PROGRAMS if (found := shutil.which(name, path=SEARCH))]
    modules = [*library.glob("lib-dynload/*.so"), *(path for name in PACKAGES for path in site.glob(f"{name}/*.so"))]
    yield from ((path, f"usr/{path.parent.name}/{path.name}") for path in programs)
    yield Path(sys.executable).resolve(), PYTHON.lstrip("/")
    yield library, f"usr/lib/{library.name}"
    yield from ((site / name, f"opt/lvmsnap/{name}") for name in PACKAGES)
    yield from ((TOP / name, f"opt/lvmsnap/{name}") for name in ("lvmsnap", "schema"))
    said = subprocess.run(["ldd", *programs, sys.executable, *modules], capture_output=True, text=True, check=False)
    for path in map(Path, sorted(set(re.findall(r"(?<!\S)/\S+(?= \()", said.stdout)))):
        is_system = path.parts[1] in ("usr", "lib", "lib64")
        yield path, f"usr{str(path).removeprefix('/usr')}" if is_system else f"usr/lib/{path.name}"
