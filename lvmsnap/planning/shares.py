"""How scarce room is shared among a profile's snapshots: so that none is full before the others. Pure.

The whole set is lost with the first snapshot that is full.
"""

from __future__ import annotations

from collections.abc import Sequence

from lvmsnap.model.dataclass import dataclass

# Bisection steps: after so many the time is exact to less than an extent.
STEPS = 100


@dataclass(frozen=True, slots=True)
class Want:
    """How many more extents a snapshot wants, how many of its own are unused, how many it fills per second."""

    extents: int
    left: float = 0.0
    per_second: float = 0.0


def of(wants: Sequence[Want], available: int) -> tuple[int, ...]:
    """Return how many extents each gets: all it wants if there are enough, else as many as let all last equally long.

    What is then left over, since some fill slowly or not at all, is shared in proportion to what each still wants.
    """
    if sum(want.extents for want in wants) <= available:
        return tuple(want.extents for want in wants)
    lasting, too_long = 0.0, max((_lasts_seconds(want) for want in wants), default=0.0)
    for _ in range(STEPS):
        middle = (lasting + too_long) / 2
        lasting, too_long = (middle, too_long) if sum(_for(middle, wants)) <= available else (lasting, middle)
    given = _for(lasting, wants)
    return _with_rest(wants, given, max(0, available - sum(given)))


def _lasts_seconds(want: Want) -> float:
    return (want.left + want.extents) / want.per_second if want.per_second else 0.0


def _for(seconds: float, wants: Sequence[Want]) -> list[int]:
    """Return how many extents each needs to last that long."""
    return [min(want.extents, max(0, int(want.per_second * seconds - want.left))) for want in wants]


def _with_rest(wants: Sequence[Want], given: list[int], rest: int) -> tuple[int, ...]:
    still = [want.extents - extents for want, extents in zip(wants, given, strict=True)]
    more = [rest * lacking // sum(still) if sum(still) else 0 for lacking in still]
    # What rounding leaves goes to those that lack most.
    for at in sorted(range(len(wants)), key=lambda at: more[at] - still[at])[: rest - sum(more)]:
        more[at] += more[at] < still[at]
    return tuple(extents + extra for extents, extra in zip(given, more, strict=True))
