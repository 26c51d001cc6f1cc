"""Limits that could end an LVM command at work: lifted for what lvmsnap starts, but not for the user's own commands."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from lvmsnap.system import limits

LOOK = "import resource as r; print(*[r.getrlimit(k)[0] for k in (r.RLIMIT_FSIZE, r.RLIMIT_CPU, r.RLIMIT_NOFILE)])"
SCRIPT = f"""
import os, resource, sys
from lvmsnap.system import limits, processes
for kind, soft in ((resource.RLIMIT_FSIZE, 4096), (resource.RLIMIT_CPU, 600), (resource.RLIMIT_NOFILE, 20)):
    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))
limits.lift()
look = (sys.executable, "-c", {LOOK!r})
print(processes.Runner().run(look).stdout, end="", flush=True)
os.waitpid(processes.start(look, {{}}), 0)
processes.start_hook(look, {{}}, 1).wait()
"""


def test_lvm_has_no_limits_and_the_users_commands_have_theirs() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["-1 -1 1024", "4096 600 20", "4096 600 20"], done.stderr


def test_a_hard_limit_that_may_not_be_exceeded_is_used_up_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []

    def set_limit(_kind: int, pair: tuple[int, int]) -> None:
        if pair[1] != 64:
            raise ValueError("not allowed to raise maximum limit")
        given.append(pair)

    monkeypatch.setattr(limits, "_before", {})
    monkeypatch.setattr(limits, "NEEDED", {resource.RLIMIT_NOFILE: 1024})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 64))
    monkeypatch.setattr(resource, "setrlimit", set_limit)

    limits.lift()

    assert given == [(64, 64)]


def test_where_nothing_is_limited_nothing_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_before", {})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    limits.lift()

    assert not limits.are_lifted()
