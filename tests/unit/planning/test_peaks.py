"""How full a snapshot became during a run, and the size that would have been enough for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.past_run import HOLD, PastRun, Peak, Result
from lvmsnap.model.units import GIB, KIB, MIB, as_written
from lvmsnap.planning import peaks
from lvmsnap.planning.run_summary import failure, summary, took_words
from lvmsnap.profile import values
from tests import samples

SNAPSHOT = samples.TARGET.snapshots[0]


def status(used: int, total: int, **more: object) -> SnapshotStatus:
    return replace(SnapshotStatus(False, used, total), **more)  # type: ignore[arg-type]


def peak_of(*seen: SnapshotStatus) -> Peak:
    peak: Peak | None = None
    for one in seen:
        peak = peaks.higher(peak, SNAPSHOT, one)
    assert peak
    return peak


def test_the_peak_is_the_most_that_was_used_with_the_size_it_then_had() -> None:
    peak = peak_of(status(4 * MIB, 64 * MIB), status(48 * MIB, 64 * MIB), status(60 * MIB, 96 * MIB))

    assert (peak.origin, peak.snapshot) == ("vg0/system", f"vg0/{samples.SNAPSHOT}")
    assert (peak.peak_bytes, peak.size_bytes, peak.first_size_bytes) == (60 * MIB, 96 * MIB, 64 * MIB)
    assert peak.peak_fill_ratio == 0.625


def test_room_that_was_given_counts_though_no_more_was_used_since() -> None:
    assert peak_of(status(48 * MIB, 64 * MIB), status(48 * MIB, 96 * MIB)).peak_fill_ratio == 0.5


def test_one_that_overflowed_was_full_whatever_was_seen_last_and_its_size_was_not_enough() -> None:
    lost = SnapshotStatus(True, 0, 0)

    peak = peak_of(status(48 * MIB, 64 * MIB), lost)

    assert (peak.peak_bytes, peak.peak_fill_ratio, peak.enough_bytes) == (64 * MIB, 1.0, 0)
    assert list(summary(replace(RUN, snapshots=(peak,), result=Result.LOST)))[1] == (
        "peak fill 100 %: 64 MiB were not enough, unless a disk failed"
    )
    assert peaks.higher(None, SNAPSHOT, lost) is None


def test_of_a_pool_it_is_the_fullest_that_either_part_was_and_no_size_is_advised() -> None:
    pool = {"pool": "vg0/pool"}
    peak = peak_of(
        status(50, 100, part="data", **pool),
        status(30, 40, part="metadata", **pool),
        status(70, 100, part="data", **pool),  # blocks were given back
    )

    assert (peak.pool, peak.part, peak.peak_fill_ratio, peak.enough_bytes) == ("vg0/pool", "metadata", 0.75, 0)
    assert peak.first_size_bytes == peak.size_bytes == 40


@pytest.mark.parametrize(
    ("used", "written"),
    [
        (8 * KIB, "4MiB"),
        (5 * MIB, "8MiB"),
        (30 * MIB, "48MiB"),
        (312 * MIB, "512MiB"),
        (345 * MIB, "640MiB"),
        (900 * MIB, "1536MiB"),
        (3 * GIB, "5GiB"),
        (30 * GIB, "48GiB"),
        (700 * GIB, "1280GiB"),
        (2100 * GIB, "3584GiB"),
    ],
)
def test_the_size_that_is_enough_is_round_half_as_much_again_and_one_that_a_profile_may_have(
    used: int, written: str
) -> None:
    peak = peak_of(status(used, 4096 * GIB))

    assert as_written(peak.enough_bytes) == written
    assert values.size_bytes(written) == peak.enough_bytes
    assert used * 3 // 2 <= peak.enough_bytes <= max(4 * MIB, used * 2)


def test_no_more_is_advised_than_the_origin_can_use() -> None:
    peak = peak_of(status(60 * MIB, 66 * MIB, origin_bytes=64 * MIB))

    # The origin's chunks, their metadata and a header, in whole MiB.
    assert as_written(peak.enough_bytes) == "65MiB"


# --- what is said of it -----------------------------------------------------------------------------------------------

RUN = PastRun("2024-05-04T03:00:00+00:00", 723.4, 0, Result.OK, "borg", command_status=0)


def said(*seen: Peak, **changed: object) -> list[str]:
    return list(summary(replace(RUN, snapshots=seen, **changed)))  # type: ignore[arg-type]


def test_a_good_run_is_closed_with_its_status_its_time_its_peak_and_the_size_that_is_enough() -> None:
    assert said(peak_of(status(312 * MIB, 4 * GIB))) == [
        "borg ended with exit status 0; the run took 12 min 3 s",
        "peak fill 7.6 % (312 MiB of 4 GiB); `size: 512MiB` would have been enough",
    ]


def test_one_that_was_nearly_full_or_had_to_grow_is_advised_more() -> None:
    assert said(peak_of(status(60 * MIB, 64 * MIB)))[1] == (
        "peak fill 93.8 % (60 MiB of 64 MiB); with `size: 96MiB` there is room to spare"
    )
    grown = peak_of(status(48 * MIB, 64 * MIB), status(60 * MIB, 96 * MIB))
    assert said(grown)[1] == (
        "peak fill 62.5 % (60 MiB of 96 MiB, 64 MiB at first); with `size: 96MiB` there is room to spare"
    )


def test_of_several_each_is_named() -> None:
    one = peak_of(status(4 * MIB, 64 * MIB))
    told = said(one, replace(one, origin="vg0/home"))

    assert [line.partition(" ")[0] for line in told] == ["borg", "vg0/system:", "vg0/home:"]


def test_of_a_thin_snapshot_nothing_is_said_of_a_size() -> None:
    thin = peak_of(status(63, 100, pool="vg0/pool", part="data"))

    assert said(thin)[1] == "peak fill 63.0 %, of the data of vg0/pool, its thin pool"


def test_one_that_somebody_removed_was_so_full_when_last_seen() -> None:
    told = said(replace(peak_of(status(62 * MIB, 64 * MIB)), enough_bytes=0), result=Result.LOST, exit_code=124)

    assert told[1] == "peak fill 96.9 % when last seen (62 MiB of 64 MiB)"


def test_what_the_error_says_is_not_said_twice() -> None:
    assert said(command_status=2, exit_code=2, result=Result.FAILED) == ["the run took 12 min 3 s"]
    assert said(exit_code=124, result=Result.LOST) == ["the run took 12 min 3 s"]
    assert said(exit_code=130, result=Result.INTERRUPTED) == ["the run took 12 min 3 s"]
    assert said(exit_code=4, result=Result.FAILED)[0].startswith("borg ended with exit status 0; "), (
        "what failed is not it"
    )
    assert said(command_status=None, exit_code=125, result=Result.NEVER_STARTED) == []


def test_a_hold_is_called_one() -> None:
    hold = {"command": HOLD, "command_status": None}

    assert said(**hold, exit_code=0, result=Result.OK) == ["the hold took 12 min 3 s"]
    for changed, says in (
        ({"result": Result.LOST, "exit_code": 124}, "the last hold lost its snapshot: do not trust what was read"),
        ({"result": Result.NEVER_STARTED, "exit_code": 3}, "the last hold never came up (exit code 3)"),
        ({"result": Result.KILLED, "exit_code": 137}, "the last hold was killed, or the power failed"),
        ({"result": Result.INTERRUPTED, "exit_code": 143}, "the last hold was interrupted (exit code 143)"),
        ({"result": Result.FAILED, "exit_code": 4}, "the last hold failed (exit code 4)"),
    ):
        assert failure(replace(RUN, **hold, **changed)) == says  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"result": Result.LOST, "exit_code": 124}, "the last run lost its snapshot: do not trust what it read"),
        (
            {"result": Result.NEVER_STARTED, "exit_code": 125, "command_status": None},
            "the last run never started borg (exit code 125)",
        ),
        ({"result": Result.KILLED, "exit_code": 137}, "the last run was killed, or the power failed"),
        ({"result": Result.INTERRUPTED, "exit_code": 143}, "the last run was interrupted (exit code 143)"),
        (
            {"result": Result.FAILED, "exit_code": 2, "command_status": 2},
            "the last run failed: borg ended with exit status 2",
        ),
        (
            {"result": Result.FAILED, "exit_code": 137, "command_status": None, "command_signal": "SIGKILL"},
            "the last run failed: borg was ended by SIGKILL",
        ),
        ({"result": Result.FAILED, "exit_code": 4}, "the last run failed (exit code 4), not its command"),
    ],
)
def test_how_a_last_run_failed_is_said_in_a_clause(changed: dict[str, object], says: str) -> None:
    assert failure(replace(RUN, **changed)) == says  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.04, "0.0 s"), (9.96, "10.0 s"), (10, "10 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s")),
        *((3600, "1 h 0 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (200000, "2 d 7 h")),
    ],
)
def test_a_time_is_reported_in_two_units_at_the_most(seconds: float, words: str) -> None:
    assert took_words(seconds) == words
