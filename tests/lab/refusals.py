"""Situations in which `up` must refuse: made, looked at, and put back. What tests of the checks share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.lab.machine import Machine, Result
from tests.lab.support import lvmsnap, profile_text


@dataclass(frozen=True)
class Situation:
    """What makes a check fail, and what must be said; `before` and `after` run in the guest."""

    name: str
    says: tuple[str, ...]
    before: str = ""
    after: str = ""
    origin: str = "vg0/system"
    settings: dict[str, Any] = field(default_factory=dict)
    refusals: int = 1


@dataclass(frozen=True)
class Refuser:
    """Tries situations in a guest."""

    machine: Machine

    def refuse(self, situation: Situation) -> None:
        """Fail unless `up` refuses in this situation, says why and what to do, and changes nothing."""
        settings = {"size": "8MiB", "mountpoint": None, **situation.settings}
        profile = profile_text(situation.origin, **settings)
        result = self.run("up check", profile, before=situation.before, after=situation.after)
        assert result.returncode == 3, result
        for phrase in situation.says:
            assert phrase in result.stderr, f"{phrase!r} is not in:\n{result.stderr}"
        assert result.stderr.count("FAIL  ") == situation.refusals, result.stderr
        assert result.stderr.count("what to do: ") == situation.refusals, result.stderr
        assert result.stdout == ""

    def run(self, arguments: str, profile: str, before: str = "", after: str = "") -> Result:
        """Run lvmsnap with the text of profile `check`; fail where it changed anything."""
        situation = {"profile": profile, "before": before, "after": after}
        return lvmsnap(self.machine, arguments, code=None, situation=situation)
