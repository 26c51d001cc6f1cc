"""What a run says and keeps at its end: how full its snapshots became, as the kernel itself has it, and its history."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from tests.lab.faults import MOUNTPOINT, ORIGIN
from tests.lab.helpers import make_vg
from tests.lab.machine import Machine
from tests.lab.stage import Stage
from tests.lab.support import lvmsnap, profile_text, start_lvmsnap, status, write_profile

pytestmark = pytest.mark.lab

HISTORY = "/var/lib/lvmsnap/history"
SECTOR = 512
CHUNK = 4096
# Of what is used when the command looks, a few chunks more may be when it has ended: its own writes, the mount's.
TOLERANCE = 16 * CHUNK
USED = "set -- $(dmsetup status {}); echo ${{4%/*}}"


def runs(m: Machine, name: str) -> list[dict[str, Any]]:
    """The history of a profile."""
    return [json.loads(line) for line in m.run(f"cat {HISTORY}/{name}.jsonl").stdout.splitlines()]


def test_the_peak_is_what_the_kernel_has_used_and_the_run_is_kept(stage: Stage) -> None:
    stage.run(f"rm -rf {HISTORY}")
    fill = f"dd if=/dev/urandom of={ORIGIN}/fill bs=1M count=5 conv=fsync status=none; sync -f {ORIGIN}"
    script = f"{fill}; {USED.format('vg0-snap')}; lvs --noheadings -o data_percent vg0/snap"

    done = lvmsnap(stage, f"-v run plain -- sh -c '{script}'")

    sectors, percent = map(float, done.stdout.split())
    (run,) = runs(stage, "plain")
    (peak,) = run["snapshots"]
    assert (run["command"], run["command_status"], run["exit_code"], run["result"]) == ("sh", 0, 0, "ok")
    assert (peak["origin"], peak["size_bytes"]) == ("vg0/system", 16 << 20)
    assert abs(peak["peak_bytes"] - sectors * SECTOR) <= TOLERANCE
    assert peak["peak_bytes"] > 5 << 20
    assert peak["peak_fill_ratio"] == pytest.approx(percent / 100, abs=TOLERANCE / (16 << 20))
    first, second = [line for line in done.stderr.splitlines() if line.startswith(("sh ended", "peak"))]
    assert re.fullmatch(r"sh ended with exit status 0; the run took [\d.]+ s", first)
    assert re.fullmatch(r"peak fill 3\d\.\d % \(5\.\d+ MiB of 16 MiB\); `size: 8MiB` would have been enough", second)
    assert stage.run(f"stat -c '%a %U' {HISTORY} {HISTORY}/plain.jsonl").stdout == "700 root\n600 root\n"
    stage.run(f"rm {ORIGIN}/fill; sync")
    stage.assert_as_before()


def test_the_size_that_is_said_to_be_enough_is_enough(stage: Stage) -> None:
    fill = f"dd if=/dev/urandom of={ORIGIN}/fill bs=1M count=9 conv=fsync status=none"
    lvmsnap(stage, f"run plain -- {fill}")
    enough = runs(stage, "plain")[-1]["snapshots"][0]["enough_bytes"]
    assert enough == 14 << 20
    stage.write_profile("p", profile_text(snapshot="snap", size=f"{enough >> 20}MiB", mountpoint=MOUNTPOINT))

    assert lvmsnap(stage, f"run p -- {fill}").stderr == ""

    stage.run(f"rm {ORIGIN}/fill; sync")
    stage.assert_as_before()


def test_whatever_is_in_the_historys_place_fails_no_run(stage: Stage) -> None:
    for strange in (
        f"rm -rf {HISTORY}; mkdir -p {HISTORY}/plain.jsonl",
        f"rm -rf {HISTORY}; echo > {HISTORY}",
        f"rm -rf {HISTORY}; mkdir {HISTORY}; mkfifo {HISTORY}/plain.jsonl",
        f"rm -rf {HISTORY}; mkdir -p {HISTORY}; mount -t tmpfs -o ro,mode=700 none {HISTORY}",
        f"umount {HISTORY}; mount -t tmpfs -o size=4k,mode=700 none {HISTORY}; echo full > {HISTORY}/x",
    ):
        stage.run(strange)

        done = lvmsnap(stage, "-q run plain -- echo done")

        assert done.stdout == "done\n"
        assert done.stderr.startswith("warning: this run of plain is missing from its history: "), (
            strange,
            done.stderr,
        )
        assert len(done.stderr.splitlines()) == 1
    stage.run(f"umount {HISTORY}; rm -rf {HISTORY}")
    stage.assert_as_before()


def test_a_var_that_becomes_read_only_meanwhile_fails_no_run(stage: Stage) -> None:
    stage.run(f"rm -rf {HISTORY}")
    onto_itself = "mount --bind /var/lib/lvmsnap /var/lib/lvmsnap; mount -o remount,bind,ro /var/lib/lvmsnap"

    # The record cannot be removed either: that is residue, and no word of the history changes it.
    done = lvmsnap(stage, f"run plain -- sh -c '{onto_itself}; echo done'", code=None)

    assert done.stdout == "done\n"
    assert "missing from its history: Read-only file system" in done.stderr
    stage.run("umount /var/lib/lvmsnap")
    lvmsnap(stage, "down plain")
    stage.assert_as_before()


def test_a_run_that_is_killed_leaves_the_history_readable_and_whoever_takes_down_what_it_left_adds_it(
    stage: Stage,
) -> None:
    stage.run(f"rm -rf {HISTORY}")
    lvmsnap(stage, "run plain -- true")
    before = runs(stage, "plain")
    job = start_lvmsnap(stage, "run plain -- sh -c 'echo running; exec sleep 99'")
    job.wait_for_output("running")
    # A run counts from when its record names what it started, which is a moment later.
    stage.run("until grep -q '\"command\": {' /var/lib/lvmsnap/plain.json; do sleep 0.1; done")
    job.kill(signal.SIGKILL, group=True)
    job.wait()
    assert runs(stage, "plain") == before
    stage.run(f'printf \'{{"format": 1, "sta\' >> {HISTORY}/plain.jsonl; pkill -x sleep', check=False)

    lvmsnap(stage, "run plain -- sh -c 'exit 3'", code=3)

    kept = runs(stage, "plain")
    assert kept[0] == before[0]
    ends = [(run["exit_code"], run["result"], run["command"]) for run in kept]
    assert ends == [(0, "ok", "true"), (137, "killed", ""), (3, "failed", "sh")]
    stage.assert_as_before()


def test_one_that_was_lost_refused_or_interrupted_is_kept_as_that(stage: Stage) -> None:
    stage.run(f"rm -rf {HISTORY}")
    over = f"dd if=/dev/urandom of={ORIGIN}/fill bs=1M count=24 conv=fsync status=none"
    done = lvmsnap(stage, f"-v run plain -- sh -c '{over}; sleep 2'", code=124)
    assert "\npeak fill 100 %: 16 MiB were not enough, unless a disk failed\n" in done.stderr
    stage.run(f"rm {ORIGIN}/fill; sync")
    lvmsnap(stage, "run plain -- surely-not-there", code=125)
    job = start_lvmsnap(stage, "run plain -- sh -c 'echo running; exec sleep 99'")
    job.wait_for_output("running")
    lvmsnap(stage, "run plain -- true", code=125)
    job.kill(signal.SIGTERM, group=False)
    assert job.wait().returncode == 143

    kept = runs(stage, "plain")

    assert [(run["exit_code"], run["result"], run["command_signal"]) for run in kept] == [
        (124, "lost", ""),
        (125, "never started", ""),
        (125, "never started", ""),
        (143, "interrupted", "SIGTERM"),
    ]
    assert [bool(run["snapshots"]) for run in kept] == [True, False, False, True]
    assert kept[0]["snapshots"][0]["peak_fill_ratio"] == 1
    stage.assert_as_before()
    # And status tells of it: as a table, as data, as metrics.
    table = lvmsnap(stage, "status plain --history").stdout.splitlines()
    assert [line.split()[4] for line in table[1:5]] == ["lost", "never", "never", "interrupted"]
    (history,) = json.loads(lvmsnap(stage, "status plain --history --json").stdout)["profiles"]
    assert status(stage, "plain")["last_run"] == history["runs"][-1]
    metrics = lvmsnap(stage, "status --prometheus").stdout
    assert 'lvmsnap_last_run_exit_code{profile="plain"} 143\n' in metrics
    assert 'lvmsnap_profile_problem{profile="plain"} 1\n' in metrics
    assert re.search(r'lvmsnap_last_run_peak_fill_ratio\{profile="plain",origin="vg0/system"\} 0\.0\d', metrics)


def test_of_a_set_each_and_of_a_thin_one_its_pool_is_reported(lab: Machine) -> None:
    make_vg(lab, volumes={"a": "64M", "b": "64M"})
    lab.run("lvcreate -qqy --type thin-pool -L 64M vg0/pool; lvcreate -qqy -V 32M --thin vg0/pool -n thin")
    lines = [f"{{origin: vg0/{name}, size: 16MiB, mountpoint: null}}" for name in "ab"]
    lines.append("{origin: vg0/thin, mountpoint: null}")
    write_profile(lab, "p", f"volumes: [{', '.join(lines)}]\nconsistent: false\n")
    write = "dd if=/dev/urandom of=/dev/vg0/{} bs=1M count={} oflag=sync status=none"
    script = "; ".join(write.format(name, count) for name, count in (("a", 2), ("b", 8), ("thin", 16)))

    done = lvmsnap(lab, f"-v run p -- sh -c '{script}'")

    peaks = {peak["origin"]: peak for peak in runs(lab, "p")[-1]["snapshots"]}
    for name, mib in (("a", 2), ("b", 8)):
        peak = peaks[f"vg0/{name}"]
        assert mib << 20 < peak["peak_bytes"] < (mib << 20) + TOLERANCE
        assert peak["size_bytes"] == 16 << 20
    assert (peaks["vg0/thin"]["pool"], peaks["vg0/thin"]["enough_bytes"]) == ("vg0/pool", 0)
    assert peaks["vg0/thin"]["peak_fill_ratio"] == 0.25
    told = [line.partition(";")[0] for line in done.stderr.splitlines() if "peak fill" in line]
    assert re.sub(r"\d+\.\d+", "N", "\n".join(told)) == (
        "vg0/a: peak fill N % (N MiB of 16 MiB)\n"
        "vg0/b: peak fill N % (N MiB of 16 MiB)\n"
        "vg0/thin: peak fill N %, of the data of vg0/pool, its thin pool"
    )


def test_room_that_was_given_while_it_ran_counts(stage: Stage) -> None:
    text = profile_text(snapshot="snap", size="16MiB", mountpoint=MOUNTPOINT)
    stage.write_profile("p", text + "overflow: {extend_at: 50%, extend_by: 100%}\n")
    fill = f"dd if=/dev/urandom of={ORIGIN}/fill bs=1M count=12 oflag=sync status=none"
    size = "lvs --noheadings --units b --nosuffix -o lv_size vg0/snap"
    script = f"{fill}; for i in $(seq 30); do sleep 1; [ $({size}) -gt {16 << 20} ] && break; done; {size}"

    done = lvmsnap(stage, f"run p -- sh -c '{script}'", timeout=200)

    (peak,) = runs(stage, "p")[-1]["snapshots"]
    assert (peak["first_size_bytes"], peak["size_bytes"]) == (16 << 20, int(done.stdout))
    assert peak["size_bytes"] > 16 << 20
    assert 12 << 20 < peak["peak_bytes"] < 14 << 20
    stage.run(f"rm {ORIGIN}/fill; sync")
    stage.assert_as_before()
