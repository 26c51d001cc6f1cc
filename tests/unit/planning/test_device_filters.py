"""Filters of lvm.conf: the first pattern that matches a device decides."""

from __future__ import annotations

import pytest

from lvmsnap.planning import device_filters


@pytest.mark.parametrize(
    ("patterns", "rejected"),
    [
        ((), None),
        (("a|.*|",), None),
        (("r|.*|",), "r|.*|"),
        (("a|loop|", "r|.*|"), None),
        (("a|^/dev/sd|", "r|.*|"), "r|.*|"),
        (("r|^/dev/loop|",), "r|^/dev/loop|"),
        (("r/loop7$/",), None),
        (("r/loop[0-9]/", "a/.*/"), "r/loop[0-9]/"),
        (("r{loop}",), "r{loop}"),
        (("r[loop]",), "r[loop]"),
        (("r(loop)",), "r(loop)"),
        (("r|loop(|", "r|.*|"), "r|.*|"),  # no regular expression at all decides nothing
    ],
)
def test_the_first_pattern_that_matches_decides(patterns: tuple[str, ...], rejected: str | None) -> None:
    assert device_filters.rejecting_pattern(patterns, "/dev/loop5") == rejected
