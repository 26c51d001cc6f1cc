"""What a guard says of what it guards."""

from __future__ import annotations

from dataclasses import replace

from lvmsnap.model.facts import SnapshotStatus
from lvmsnap.model.profile import Overflow
from lvmsnap.model.units import GIB, KIB, MIB
from lvmsnap.planning import guard_words
from lvmsnap.planning.guard_words import Filling

STAND = Filling("vg0/system", SnapshotStatus(False, 492 * MIB, 4 * GIB), 3.0 * MIB)
POOL = Filling("vg0/thin", SnapshotStatus(False, 63 * MIB, 100 * MIB, pool="vg0/pool", part="data"), 0.0)


def test_what_is_guarded_is_said_with_what_will_be_done() -> None:
    assert guard_words.guarded(STAND, "vg0/s", Overflow()) == (
        "guarding vg0/s, 12.0 % of 4 GiB used: warns at 70 %, extends at 80 %"
    )
    never = replace(Overflow(), extend_percent=100)
    assert guard_words.guarded(STAND, "vg0/s", never).endswith("warns at 70 %, does not extend")
    assert guard_words.guarded(POOL, "vg0/t", Overflow()) == (
        "guarding vg0/t in the thin pool vg0/pool, 63.0 % of data of vg0/pool used: "
        "warns at 70 %; LVM extends pools itself"
    )


def test_how_it_stands_is_fill_rate_and_time_to_full() -> None:
    assert guard_words.now("nightly", (STAND,)) == "nightly: 12.0 % of 4 GiB used, 3 MiB/s, full in 20 min 1 s"
    resting = replace(STAND, bytes_per_second=0.0)
    assert guard_words.now("nightly", (resting,)) == "nightly: 12.0 % of 4 GiB used, not filling"
    assert guard_words.now("nightly", (POOL,)) == "nightly: 63.0 % of data of vg0/pool used, not filling"
    assert guard_words.now("nightly", ()) == "nightly: no snapshot found"


def test_of_several_it_is_the_one_that_is_full_first_and_where_none_fills_the_fullest() -> None:
    soon = Filling("vg0/home", SnapshotStatus(False, MIB, 2 * MIB), 512.0 * KIB)

    assert guard_words.now("server", (STAND, soon)) == (
        "server: vg0/home (first of 2 to become full), 50.0 % of 2 MiB used, 512 KiB/s, full in 2.0 s"
    )
    resting = tuple(replace(one, bytes_per_second=0.0) for one in (STAND, soon))
    assert "vg0/home" in guard_words.now("server", resting)
