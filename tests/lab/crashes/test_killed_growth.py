"""LVM is killed while it extends a snapshot whose origin it has suspended: writers and readers go on, growth too."""

from __future__ import annotations

import pytest

from tests.lab.faults import BIN, Fault, break_commands, fired, kill_at
from tests.lab.stage import Stage
from tests.lab.support import lvmsnap

pytestmark = pytest.mark.lab

WAIT = 60
PROFILE = """volumes: [{origin: vg0/system, size: 8MiB}]
overflow: {warn_at: 10%, extend_at: 15%, extend_by: 100%}"""
# Writes until three seconds after lvextend was started; keeps how long the longest write took.
WRITING = """
import os, time
longest, block, end = 0.0, os.urandom(1 << 18), 0.0
with open("/mnt/filling", "r+b") as file:
    for number in range(60):
        began = time.monotonic()
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.2)
        end = end or (os.path.exists("/run/faults/fired") and os.path.getsize("/run/faults/fired") and began + 3)
        if end and began > end:
            break
open("/run/longest", "w").write(f"{longest:.3f}")
"""
TRACE = f'exec strace -f -o {BIN}/trace -e trace=ioctl /sbin/lvextend "$@"'
AT_EACH = "at each ioctl"


def longest_write(stage: Stage, *faults: Fault) -> tuple[float, str]:
    """Run the writer with a guard; return how long its longest write took, and what was reported."""
    path = break_commands(stage, *faults)
    result = lvmsnap(stage, "run p -- python3 /run/writing.py", path=path, timeout=WAIT)
    assert fired(stage), result.stderr
    return float(stage.read_file("/run/longest")), result.stderr


@pytest.mark.parametrize("case", ["all are suspended", "the origin alone still is", AT_EACH])
def test_no_writer_waits_where_lvm_is_killed_while_it_extends_a_snapshot(stage: Stage, case: str) -> None:
    stage.write_profile("p", PROFILE)
    stage.write_file("/run/writing.py", WRITING)
    stage.run("head -c 16M /dev/urandom > /mnt/filling; sync -f /mnt")
    before = stage.look()
    longest_write(stage, Fault("lvextend", TRACE))
    calls = stage.run(f"grep ioctl {BIN}/trace | grep -n DM_DEV_SUSPEND | cut -d: -f1").stdout.split()
    first, last = int(calls[0]), int(calls[-1])

    numbers = {"all are suspended": (last - 4,), "the origin alone still is": (last,)}
    for number in numbers.get(case, range(first, last + 2)):
        seconds, said = longest_write(stage, kill_at("lvextend", number))
        assert "SIGKILL" in said
        assert seconds < 3, f"killed at {number}: {said}"
        assert stage.look() == before

    stage.run("rm /mnt/filling")
