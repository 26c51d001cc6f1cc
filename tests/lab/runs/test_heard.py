"""What lvmsnap says with real LVM, on a terminal, in cron's mail and in the journal, is what is kept in tests/heard."""

from __future__ import annotations

import pytest

from tests.heard import as_real, kept, on_screen, same_each_time
from tests.lab.faults import FAILS_BEFORE, Fault, break_commands
from tests.lab.machine import Job
from tests.lab.stage import Scene, Stage
from tests.lab.support import COMMAND, ENVIRONMENT, shell_line

pytestmark = pytest.mark.lab

TEXT = """\
volumes: [{origin: vg0/system, size: 16MiB, mountpoint: /media/snap}]
backing_file: {path: /media/space/lent}
"""
# Ends once lvmsnap has said that its snapshot is lost.
FILL = """#!/bin/sh
dd if=/dev/urandom of=/mnt/big bs=1M count=30 conv=fsync 2> /dev/null
until grep -q lost /run/heard; do sleep 0.2; done
"""
SCENE = Scene(profiles={"nightly": TEXT})
EXIT = "; echo exit code $?"
# As cron(8) starts a command.
CRON = "env -i HOME=/root LOGNAME=root SHELL=/bin/sh PATH=/usr/bin:/bin"


def same(place: str, called: str, told: str) -> None:
    """Fail unless that is what is kept of a place."""
    told = as_real(same_each_time(told.rstrip("\n")))
    assert told.splitlines() == kept(place, called).splitlines(), called


def on_terminal(stage: Stage, columns: int, arguments: str, path: str = "") -> Job:
    # The shell too gets Ctrl-C.
    return stage.start(f"trap : INT; {shell_line(arguments, path)}{EXIT}", tty=(columns, 24), env={"TERM": "xterm"})


def on_terminals(stage: Stage) -> None:
    ran = on_terminal(stage, 80, "run nightly -- true").wait(60)
    same("terminal-80", "run nightly -- true", on_screen(ran.stdout))
    held = on_terminal(stage, 80, "hold nightly")
    held.wait_for_output("not filling")
    held.write(b"\x03")
    same("terminal-80", "hold nightly  # and Ctrl-C", on_screen(held.wait(60).stdout.replace("^C", "")))
    path = break_commands(stage, Fault("mount", FAILS_BEFORE))
    failed = on_terminal(stage, 120, "up nightly", path).wait(60)
    same("terminal-120", "up nightly  # where mount fails", on_screen(failed.stdout))


def in_crons_mail(stage: Stage) -> None:
    calls = ("up nightly", "run nightly -- true  # while it is up", "down nightly", "run nightly -- false")
    variables = " ".join(f"{key}={value}" for key, value in ENVIRONMENT.items())
    for called in calls:
        line = f"{CRON} {variables} {' '.join(COMMAND)} {called.partition('  #')[0]}"
        same("cron", called, stage.run(f"({line}) 2>&1 < /dev/null{EXIT}", timeout=120).stdout)


def in_the_journal(stage: Stage) -> None:
    stage.write_file("/run/bin/fill", FILL, mode=0o755)
    called = "run nightly -- fill"
    stream = "exec 2> /run/heard; export JOURNAL_STREAM=$(stat -c %d:%i /run/heard)"
    marked = "sed 's/^/stderr: /' /run/heard"
    done = stage.run(
        f"{stream}; {shell_line(called, '/run/bin')}; code=$?; {marked}; echo exit code $code", timeout=120
    )
    same("journal", f"{called}  # which overwrites the origin until the snapshot is lost", done.stdout)
    stage.run("rm /mnt/big")


def test_what_is_heard_of_real_lvm_is_what_a_person_read(stage: Stage) -> None:
    on_terminals(stage)
    in_crons_mail(stage)
    in_the_journal(stage)
    stage.assert_as_before()
