"""What `status` tells of a snapshot that fills under `run`, beside what LVM and the kernel say of it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab import looking
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine, MiB
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, write_profile
from tests.unit.cli.test_metrics import parse

pytestmark = pytest.mark.lab

NAME = "vg0/system-lvmsnap-p"
GUARD = "/run/lvmsnap/p.guard"
METRICS = "/run/metrics/lvmsnap.prom"
# Changes a chunk of the origin at a time; where told to, 14 MiB at once: beyond extend_at, less than all.
WRITER = """
import os, time
origin = os.open("/dev/vg0/system", os.O_WRONLY | os.O_DSYNC)
chunk, more = 32 << 20, True
while not os.path.exists("/run/stop"):
    os.pwrite(origin, b"x" * 4096, chunk)
    chunk += 4096
    if more and os.path.exists("/run/more"):
        more = os.pwrite(origin, b"y" * (14 << 20), 0) == 0
    time.sleep(0.05)
"""


def used_bytes(m: Machine) -> int:
    """What the kernel says is used of the snapshot's space."""
    found = re.search(r" snapshot (\d+)/\d+ ", m.run("dmsetup status vg0-system--lvmsnap--p").stdout)
    assert found
    return 512 * int(found[1])


def status_when(m: Machine, key: str) -> dict[str, Any]:
    """Give p's status once it tells more than nothing by that key; the guard looks only now and then."""
    for _ in range(15):
        (told,) = json.loads(lvmsnap(m, "status p --json").stdout)["profiles"]
        if told[key] and told["rate_over"] == "guard":
            return dict(told)
        time.sleep(0.5)
    raise AssertionError(f"no {key}: {told}, {m.run(['cat', GUARD], check=False).stdout}")


def test_rate_time_to_full_and_growth_are_reported_while_run_guards_the_snapshot(lab: Machine) -> None:
    # The snapshot leaves 16 MiB free, so that is what it is given, however fast it fills.
    make_vg(lab, volumes={"system": "64M", "other": "916M"})
    lab.run("mkdir /run/metrics")
    lab.write_file("/run/writer.py", WRITER)
    rules = "overflow: {warn_at: 40%, extend_at: 50%, extend_by: 100%}\n"
    write_profile(lab, "p", profile_text(size="24MiB", mountpoint=None) + rules)
    job = start_lvmsnap(lab, "-v run p -- python3 /run/writer.py")

    # While it fills slowly.
    lab.run(f"until [ -e {GUARD} ]; do sleep 0.2; done")
    before = used_bytes(lab)
    told = status_when(lab, "rate_bytes_per_second")
    after = used_bytes(lab)
    rate, size = told["rate_bytes_per_second"], told["size_bytes"]
    assert (told["state"], size, told["last_growth"]) == ("up", 24 * MiB, None)
    assert before - 0.0001 * size <= told["fill_percent"] / 100 * size <= after + 0.0001 * size
    assert 0 < rate <= after
    assert told["seconds_to_full"] == pytest.approx((1 - told["fill_percent"] / 100) * size / rate, rel=0.01)
    assert looking.mode(lab, GUARD) == "regular file 600 root"

    # When it was given more room.
    start = lab.run("date +%s").stdout
    lab.run("touch /run/more")
    job.wait_for_output("was extended by")
    told = status_when(lab, "last_growth")
    (size_now,) = looking.lv(lab, NAME, "lv_size")
    assert told["last_growth"]["bytes"] == int(size_now) - 24 * MiB == 16 * MiB
    assert told["size_bytes"] == int(size_now)
    grown_at = datetime.fromisoformat(told["last_growth"]["time"])
    assert int(start) - 1 <= grown_at.timestamp() <= int(lab.run("date +%s").stdout)
    assert grown_at.tzinfo == UTC

    # To others: a file for node_exporter, a table for people.
    lvmsnap(lab, f"status --prometheus --output {METRICS}")
    found = parse(lab.read_file(METRICS))
    metrics = {name: value for (name, labels), value in found.items() if "state" not in dict(labels)}
    assert metrics["lvmsnap_snapshot_size_bytes"] == 40 * MiB
    assert metrics["lvmsnap_snapshot_last_growth_bytes"] == 16 * MiB
    assert metrics["lvmsnap_snapshot_last_growth_timestamp_seconds"] == grown_at.timestamp()
    assert metrics["lvmsnap_profile_problem"] == 0
    assert looking.mode(lab, METRICS) == "regular file 644 root"
    assert lab.run("ls -A /run/metrics").stdout == "lvmsnap.prom\n"
    assert "+16 MiB " in lvmsnap(lab, "status").stdout.splitlines()[1]

    # When all is over.
    lab.run("touch /run/stop")
    assert job.wait().returncode == 0, job.stderr
    assert looking.kept(lab) == []
