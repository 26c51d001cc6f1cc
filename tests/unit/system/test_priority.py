"""A low priority is laid aside for LVM, and is what the user's commands and what fills a file have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lvmsnap.system import priority

LOOK = "import os; from lvmsnap.system import priority as p; "
LOOK += "print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), p._io_priority() >> p.CLASS_SHIFT)"
SCRIPT = f"""
import os, sys
from lvmsnap.system import priority, processes
priority._set_io_priority(priority.IDLE << priority.CLASS_SHIFT)
os.setpriority(os.PRIO_PROCESS, 0, 19)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
priority.lay_aside()
look = (sys.executable, "-c", {LOOK!r})
os.environ["PATH"] = os.getcwd()
print(processes.Runner().run(look).stdout, processes.Runner().run(("dd",)).stdout, sep="", end="", flush=True)
os.waitpid(processes.start(look, {{}}), 0)
processes.start_hook(look, {{}}, 1).wait()
"""
USUAL, LOW = f"{os.SCHED_OTHER} 0 0", f"{os.SCHED_IDLE} 19 {priority.IDLE}"


@pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine not in priority.CALLS, reason="only root may raise it")
def test_lvm_has_the_usual_priority_and_the_users_commands_have_theirs(tmp_path: Path) -> None:
    filler = tmp_path / "dd"
    filler.write_text(f"#!{sys.executable}\n{LOOK}\n")
    filler.chmod(0o755)

    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [USUAL, LOW, LOW, LOW], done.stderr


def test_the_usual_priority_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priority, "_laid_aside", [])
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    monkeypatch.setattr(os, "getpriority", lambda *_: 0)
    monkeypatch.setattr(priority, "_io_priority", lambda: priority.BEST_EFFORT << priority.CLASS_SHIFT | 4)

    priority.lay_aside()

    assert not priority.is_laid_aside()


def test_what_may_not_be_raised_stays_low(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(priority, "_laid_aside", [])
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    monkeypatch.setattr(os, "getpriority", lambda *_: 19)
    monkeypatch.setattr(os, "setpriority", refuses)
    monkeypatch.setattr(priority, "_io_priority", lambda: 0)

    priority.lay_aside()

    assert not priority.is_laid_aside()
