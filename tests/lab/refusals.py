"""Situations in which `up` must refuse: made, looked at, and put back. What tests of the checks share."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.lab.machine import Job, Machine
from tests.lab.support import COMMAND, ENVIRONMENT, profile_text


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
class Refusal:
    """How lvmsnap ended; it has changed nothing."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Refuser:
    """A process in the guest that has lvmsnap loaded, so that a refusal takes no start of it."""

    job: Job

    def refuse(self, situation: Situation) -> None:
        """Fail unless `up` refuses in this situation, says why and what to do, and changes nothing."""
        settings = {"size": "8MiB", "mountpoint": None, **situation.settings}
        profile = profile_text(situation.origin, **settings)
        result = self.run("up check", profile, before=situation.before, after=situation.after)
        assert result.code == 3, result
        for phrase in situation.says:
            assert phrase in result.stderr, f"{phrase!r} is not in:\n{result.stderr}"
        assert result.stderr.count("  NO  ") == situation.refusals, result.stderr
        assert result.stderr.count("what to do: ") == situation.refusals, result.stderr
        assert result.stdout == ""

    def run(self, arguments: str, profile: str, before: str = "", after: str = "") -> Refusal:
        """Run lvmsnap with the text of profile `check`; fail where it changed anything."""
        request = {"arguments": shlex.split(arguments), "profile": profile, "before": before, "after": after}
        answered = self.job.stdout.count("\n")
        self.job.write(json.dumps(request) + "\n")
        self.job.wait_for(lambda: self.job.stdout.count("\n") > answered or self.job.poll() is not None, 120)
        assert self.job.poll() is None, self.job.stderr
        answer = json.loads(self.job.stdout.splitlines()[answered])
        assert not answer.pop("changed"), answer
        assert "Traceback" not in answer["stderr"], answer
        return Refusal(**answer)


@contextmanager
def refuser(machine: Machine) -> Iterator[Refuser]:
    """Give a refuser in the guest; not to be wiped meanwhile."""
    job = machine.start([COMMAND[0], "-m", "tests.lab.refusing"], env=ENVIRONMENT, stdin=True)
    yield Refuser(job)
    job.write("", end=True)
    job.wait(60)
