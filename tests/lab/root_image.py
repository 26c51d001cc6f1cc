"""A machine whose root filesystem is a logical volume, and real initramfs images that boot it.

The images are made on this machine, without touching it: a guest takes minutes for what takes seconds here. Once its
root filesystem is there, the guest leaves a mark on the console and goes on as every guest of the lab does.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lvmsnap.install import boot_parts
from tests.lab import kernel
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.support import LAB_HOST

ROOT_IS_UP = "lab: the root filesystem is"
INIT = f"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "{ROOT_IS_UP} $(/bin/busybox grep ' / ext4 ' /proc/mounts)" > /dev/console
export LAB_WORK=$(/bin/busybox tr ' ' '\\n' < /proc/cmdline | /bin/busybox sed -n 's/^LAB_WORK=//p')
/bin/busybox mount -t hostfs -o / none /machine
/bin/busybox mount -t devtmpfs none /machine/dev
/bin/busybox rm -f /machine/dev/fd
exec /bin/busybox chroot /machine "$LAB_WORK/init"
"""
WATCH = """#!/bin/sh
case ${1:-} in prereqs) exit 0 ;; esac
(
    last=
    while [ -e /scripts ]; do
        now=
        for link in /dev/disk/by-uuid/*; do now="$now $link=$(readlink "$link")"; done
        for name in /sys/block/dm-*/dm/name; do
            device=${name%/dm/name}
            [ -e "$name" ] && read -r lv < "$name" && now="$now ${device##*/}:$lv"
        done
        [ "$now" = "$last" ] || echo "WATCH$now" > /dev/console
        last=$now
    done
) 2> /dev/null &
"""
ARGUMENTS = ("root=/dev/mapper/vg0-root", "rootfstype=ext4", "rootflags=relatime", "init=/sbin/init")
SETTINGS = "MODULES=list\nBUSYBOX=y\nCOMPRESS=gzip\nRESUME=none\nKEYMAP=n\nUMASK=0077\n"
MODULES = ("dm-mod", "dm-bufio", "dm-snapshot")


def make_root_volume(m: Machine, **volumes: str) -> None:
    """Make vg0 with the volume `root` on ubda, a root filesystem on it, and further volumes (name to size)."""
    make_vg(m, volumes={"root": "64M", **volumes}, filesystems={"root": "ext4"}, mounts={"root": "/mnt"})
    m.run(
        """set -e
        cd /mnt; mkdir bin sbin proc sys dev run tmp machine; echo precious > data
        cp --parents -L /bin/busybox $(ldd /bin/busybox | grep -o '/[^ ]*') ."""
    )
    m.write_file("/mnt/sbin/init", INIT, 0o755)
    m.run("sync")


def installed(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *sources: boot_parts.System,
    host: str = LAB_HOST,
    is_packaged: bool = False,
) -> None:
    """Write what install-boot writes on the host `host` for these systems, with `folder` before each path.

    `is_packaged`: and what the distribution's package brings.
    """
    monkeypatch.setattr(boot_parts, "is_packaged", lambda: is_packaged)
    monkeypatch.setattr(boot_parts, "SETTINGS", str(folder) + boot_parts.SETTINGS)
    monkeypatch.setattr(boot_parts, "LIBRARY", str(folder) + boot_parts.LIBRARY)
    monkeypatch.setattr(boot_parts, "RULES", str(folder) + boot_parts.RULES)
    monkeypatch.setattr(boot_parts, "host_id", lambda: host)
    for file in boot_parts.wanted_files(sources):
        path = folder / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(boot_parts.content(file))
        path.chmod(file.mode)


def watch_links(configuration: Path) -> None:
    """Have an image of initramfs-tools tell on the console, from its start, where by-uuid leads and what is active."""
    script = configuration / "scripts" / "init-top" / "aaa-watch"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(WATCH)
    script.chmod(0o755)


def links_seen(console: str) -> list[dict[str, str]]:
    """Return what was watched: what each link of by-uuid led to (an LV's device), and "active": all LVs' devices."""
    seen: list[dict[str, str]] = []
    names: dict[str, str] = {}
    for line in re.findall(r"^WATCH (.*)", console, re.MULTILINE):
        active = dict(re.findall(r"(dm-\d+):(\S+)", line))
        names |= active  # At its end the initramfs gives /sys away before /dev.
        links = {uuid: names.get(device, device) for uuid, device in re.findall(r"/([^/ ]+)=\.\./\.\./(\S+)", line)}
        seen.append({**links, "active": " ".join(sorted(active.values()))})
    return seen


def initramfs_tools_image(folder: Path, configuration: Path) -> Path:
    """Have initramfs-tools make an image; hooks and scripts are taken from `configuration` too."""
    folder.mkdir(exist_ok=True)
    for name in ("hooks", "scripts", "conf.d"):
        (configuration / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/initramfs-tools/initramfs.conf", configuration)
    (configuration / "conf.d" / "lab").write_text(SETTINGS)
    (configuration / "modules").touch()
    # It would look for the kernel's configuration in /boot: only whether the kernel knows gzip.
    (folder / f"config-{kernel.modules().name}").write_text("CONFIG_RD_GZIP=y\n")
    script = Path("/usr/sbin/mkinitramfs").read_text().replace("/boot/config-", f"{folder}/config-")
    (folder / "mkinitramfs").write_text(script)
    image = folder / "initrd.img"
    options = ["-d", str(configuration), "-o", str(image)]
    command = ["/bin/sh", str(folder / "mkinitramfs"), *options, kernel.modules().name]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with image.open("ab") as file:
        file.write(modules_archive(folder / "modules"))
    return image


def dracut_image(folder: Path, installed_files: Path) -> Path:
    """Have dracut make an image, with the module among `installed_files`."""
    program = shutil.which("dracut")
    assert program is not None
    base = folder / "dracut"
    shutil.copytree(Path(program).parent.parent / "lib" / "dracut", base, symlinks=True)
    shutil.copytree(installed_files / "usr/lib/dracut", base, dirs_exist_ok=True)
    (folder / "empty").mkdir()
    (folder / "dracut.conf").touch()
    image = folder / "initrd.img"
    options = ["--conf", f"{folder}/dracut.conf", "--confdir", f"{folder}/empty", "--tmpdir", str(folder), "--force"]
    options += ["--no-hostonly", "--no-hostonly-cmdline", "--no-kernel", "--no-early-microcode", "--nolvmconf"]
    options += ["--gzip", "--modules", "base bash udev-rules rootfs-block dm lvm fs-lib lvmsnap"]
    environment = os.environ | {"dracutbasedir": str(base)}
    command = [program, *options, str(image), kernel.modules().name]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=environment)
    with image.open("ab") as file:
        file.write(modules_archive(folder / "modules"))
    return image


def modules_archive(folder: Path) -> bytes:
    """Return an archive with the modules that the guest's kernel needs; it unpacks all that come one after another."""
    version = kernel.modules().name
    target = folder / "usr" / "lib" / "modules" / version
    target.mkdir(parents=True)
    (folder / "lib").symlink_to("usr/lib")
    for name in MODULES:
        (source,) = kernel.modules().rglob(f"{name}.ko")
        shutil.copy(source, target)
    subprocess.run(["/sbin/depmod", "-b", folder, version], check=True, capture_output=True)
    (folder / "lib").unlink()
    (folder / "conf").mkdir()
    (folder / "conf" / "modules").write_text("\n".join(MODULES) + "\n")
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    command = ["cpio", "-o", "-H", "newc", "--quiet"]
    archive = subprocess.run(command, cwd=folder, input=names.encode(), check=True, capture_output=True)
    return gzip.compress(archive.stdout)
