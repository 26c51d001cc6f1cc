"""Which processes there are: those that may have something open."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lvmsnap.system import process_table


def test_processes_come_by_their_pid_and_those_that_run_no_program_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("10", "9", "2", "self", "uptime", "1²"):
        (tmp_path / name).mkdir()
    for name in ("10", "9", "self"):
        (tmp_path / name / "exe").symlink_to("/usr/bin/true")
    monkeypatch.setattr(process_table, "PROC", tmp_path)

    assert process_table.running() == [tmp_path / "9", tmp_path / "10"]


def test_a_dead_process_that_nobody_waited_for_is_left_out() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

        assert os.path.exists(f"/proc/{child}")
        assert str(child) not in {folder.name for folder in process_table.running()}
        assert str(os.getpid()) in {folder.name for folder in process_table.running()}
    finally:
        os.waitpid(child, 0)


def test_another_users_process_counts_for_one_who_may_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "readlink", refuse)

    assert str(os.getppid()) in {folder.name for folder in process_table.running()}
