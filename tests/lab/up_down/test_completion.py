"""What completion offers as a volume to begin with, from real LVM."""

from __future__ import annotations

import pytest

from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.packaging import completion

pytestmark = pytest.mark.lab

ASKED = """source /run/completion; COMP_WORDS=(lvmsnap init ""); COMP_CWORD=2
exec 9> /run/lock/lvm/V_vg0; flock 9
_lvmsnap; printf "%s " "${COMPREPLY[@]}" """


def test_init_offers_volumes_but_no_snapshot_and_no_pool_and_waits_for_no_lock(lab: Machine) -> None:
    make_vg(lab, volumes={"system": "64M", "my-data": "32M"})
    lab.run("lvcreate -q -y -s -L 8M -n snap vg0/system && lvcreate -q -y -L 48M -T vg0/pool")
    lab.run("lvcreate -q -y -V 32M -T vg0/pool -n thin")
    lab.run(f"cat > /run/completion <<'END'\n{completion.files()['bash/lvmsnap']}\nEND")

    offered = lab.run(f"timeout 30 bash -c '{ASKED}'").stdout

    assert sorted(offered.split()) == ["vg0/my-data", "vg0/system", "vg0/thin"]
