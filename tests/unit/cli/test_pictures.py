"""Pictures of plans stand for themselves: no network, no font of their own; and the README's is today's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from lvmsnap.cli import pictures, views
from lvmsnap.model.facts import Mount
from lvmsnap.model.looked import Gate
from lvmsnap.model.plan import Plan
from lvmsnap.model.units import MIB
from lvmsnap.planning import offline, planner
from lvmsnap.profile import loading
from tests import TOP, samples

PICTURE = TOP / ".pictures/plan.svg"
PROFILE = TOP / "profiles/system-full-vg.yaml"


def plan() -> Plan:
    """The plan of the README's profile on a server whose group is full."""
    profile = loading.load(PROFILE, require_root_owned=False)
    clean = offline._facts(profile)
    (group,) = clean.vgs
    origin = replace(group.lvs[0], size_bytes=300 * MIB)
    disk = replace(samples.DISK, vg=group.name, allocated_extents=samples.DISK.extents)
    looked = replace(
        clean.looked,
        boot_recovery=True,
        directories={
            path: replace(one, available_bytes=int(451.3 * MIB)) for path, one in clean.looked.directories.items()
        },
        origins={path: replace(one, ways=((Gate("/", 0, 0, 0o755),),)) for path, one in clean.looked.origins.items()},
    )
    facts = replace(
        clean,
        host=samples.HOST,
        vgs=(replace(group, lvs=(origin,), pvs=(disk,), free_extents=0),),
        mounts=(Mount(origin.device_number, "/", "/", "ext4", "/dev/mapper/lvm_server_vg-system"),),
        looked=looked,
    )
    return planner.plan_up(profile, facts, (samples.PV_UUID,))


def exported(path: Path) -> str:
    lines = views.plan_lines(
        "system-full-vg",
        plan(),
        note="/etc/lvmsnap/system-full-vg.yaml",
        description=loading.load(PROFILE, require_root_owned=False).description,
    )
    pictures.export(lines, str(path), "lvmsnap plan system-full-vg")
    return path.read_text()


def text_of(svg: str) -> list[str]:
    """What is to be read in a picture, row by row."""
    rows: dict[float, str] = {}
    for y, text in re.findall(r'<text [^>]*y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        rows[float(y)] = rows.get(float(y), "") + unescape(text).replace("\xa0", " ").rstrip("\n")
    return [rows[y].rstrip() for y in sorted(rows)]


def test_the_readmes_picture_is_todays(tmp_path: Path) -> None:
    svg = exported(tmp_path / "plan.svg")
    if os.environ.get("LVMSNAP_WRITE_GOLDEN"):
        PICTURE.write_text(svg)

    shown = text_of(svg)

    assert shown == text_of(PICTURE.read_text())
    assert shown[-1] == "ready: lvmsnap up system-full-vg runs these 8 steps"
    assert max(map(len, shown)) <= pictures.PICTURE_COLUMNS


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_nothing_is_fetched_from_the_network(suffix: str, tmp_path: Path) -> None:
    told = exported(tmp_path / f"plan.{suffix}")

    # Names of formats, and who made it.
    addresses = set(re.findall(r"https?://[^\s\"')<]+", told)) - {"http://www.w3.org/2000/svg"}
    assert addresses <= {"https://www.textualize.io"}
    assert not re.search(r"url\((?!#)|@import|@font-face|Fira", told)


@pytest.mark.skipif(not shutil.which("rsvg-convert"), reason="librsvg2-bin is not installed")
def test_the_indentation_is_there_in_librsvg(tmp_path: Path) -> None:
    """Blanks in front of a text move it: without them it would be drawn where the first one begins."""
    svg = exported(tmp_path / "plan.svg")
    bare = tmp_path / "bare.svg"
    bare.write_text(svg.replace(' xml:space="preserve"', ""))

    def drawn(path: Path) -> bytes:
        return subprocess.run(["rsvg-convert", "-w", "600", str(path)], capture_output=True, check=True).stdout

    assert drawn(tmp_path / "plan.svg") != drawn(bare)
