"""The recipes of the documentation word for word, with the real programs: what they bring back is what was backed up.

Each program backs up a tree of 1,000 files of mixed kinds from a snapshot, while the origin is changed beneath it, and
restores it; the two are compared in all there is to compare.
"""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest

from tests import TOP
from tests.lab import recipes
from tests.lab.helpers import fingerprint, make_vg
from tests.lab.machine import Machine
from tests.lab.support import shell_line, write_profile

pytestmark = pytest.mark.lab

MIXED_FILES = f"{shlex.quote(sys.executable)} {shlex.quote(str(TOP))}/tests/lab/mixed_files.py"
ORIGIN, RESTORED, RESTORED_DEVICE = "/srv/system", "/restore", "/dev/lvm_server_vg/restored"
FOLDERS = ("/etc/lvmsnap", "/media", "/mnt")
BIN = "/run/recipes"
INCREMENTAL = ("borg", "restic", "rsync")
RAW = ("partclone", "fsarchiver")
PROGRAM = {"partclone": "partclone.ext4"}


@pytest.fixture
def server(lab: Machine) -> Machine:
    """A mounted origin with the tree in it, a disk for backups, a volume to restore to, the page's profiles."""
    ext4 = "ext4 -b 4096"
    make_vg(
        lab,
        "lvm_server_vg",
        volumes={"system": "256M", "restored": "256M"},
        filesystems={"system": ext4, "restored": ext4, "/dev/ubdb": ext4},
        mounts={"system": ORIGIN, "/dev/ubdb": "/backup", "restored": RESTORED},
    )
    for name, text in recipes.profiles().items():
        write_profile(lab, name, text)
    lab.write_file(f"{BIN}/lvmsnap", f'#!/bin/sh\nexec {shell_line("")} "$@"\n', mode=0o755)
    lab.run("echo secret > /root/borg-passphrase; echo secret > /root/restic-password; rm -rf /root/.cache/borg")
    lab.run(f"{MIXED_FILES} make {ORIGIN}")
    return lab


def carry_out(m: Machine, commands: str, path: str = BIN) -> str:
    """Carry out commands of the page word for word; the output."""
    done = m.run(f"PATH={path}:$PATH\ncd /\n{commands}", timeout=180, check=False)
    assert done.returncode == 0, f"{commands}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def manifest(m: Machine, folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(m.run(f"{MIXED_FILES} manifest {folder}").stdout)
    return found


def change_origin_when_it_starts(m: Machine, program: str) -> str:
    """Put a program before the real one that changes the origin first; the PATH to find it by."""
    real = m.run(["which", program]).stdout.strip()
    m.write_file(
        f"{BIN}/changing/{program}",
        f'#!/bin/sh\nset -e\nrm "$0"\n{MIXED_FILES} change {ORIGIN}\nexec {real} "$@"\n',
        mode=0o755,
    )
    return f"{BIN}/changing:{BIN}"


@pytest.mark.parametrize("name", recipes.NOT_KEPT)
def test_what_a_recipe_restores_is_what_stood_on_the_origin_just_before_run(server: Machine, name: str) -> None:
    recipe, state = recipes.recipes()[name], fingerprint(server, FOLDERS)
    prepare(server, name, recipe)
    before = manifest(server, ORIGIN)

    told = carry_out(server, recipe.night, change_origin_when_it_starts(server, PROGRAM.get(name, name)))
    carry_out(server, recipe.restore)

    wrong = recipes.differences(before, manifest(server, RESTORED))
    assert [each for each in wrong if not any(is_known(each) for is_known in recipes.NOT_KEPT[name])][:10] == []
    # That it could have been seen: so many files, and all of them had changed when they were read.
    assert sum(entry["type"] != "d" for entry in before.values()) == 1000
    assert len({each.path for each in recipes.differences(before, manifest(server, ORIGIN))}) > 900
    if name == "restic":
        assert "Files: 20 new, 10 changed, 955 unmodified" in " ".join(told.split())
    server.run(f"umount {RESTORED}; mount {RESTORED_DEVICE} {RESTORED}")
    assert fingerprint(server, FOLDERS) == state


def prepare(m: Machine, name: str, recipe: recipes.Recipe) -> None:
    """Have last night's backup there, where the next one builds on it; else a blank volume to restore to."""
    if recipe.once:
        carry_out(m, recipe.once)
    if name in INCREMENTAL:
        carry_out(m, recipe.night)
        m.run(f"{MIXED_FILES} a_day {ORIGIN}")
    if name in RAW:
        # Deleted but still open, as there are some on every server: the image has it without a name.
        holder = m.start(f"exec 3> {ORIGIN}/x; rm {ORIGIN}/x; echo text >&3; sync; echo open; exec sleep 300")
        holder.wait_for_output("open")
        m.run(f"umount {RESTORED}; blkdiscard {RESTORED_DEVICE}")
