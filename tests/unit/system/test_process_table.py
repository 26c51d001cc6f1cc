"""Which processes there are: those that may have something open."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lvmsnap.system import process_table

# Its first thread ends, the other one goes on.
WITHOUT_FIRST_THREAD = """
import ctypes, threading, time
def go_on():
    time.sleep(0.05)
    print("ready", flush=True)
    time.sleep(99)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def make_stat(folder: Path, *, state: str = "S", flags: int = 0x400140, threads: int = 1) -> None:
    """Write what proc(5) says of a process, as far as it is looked at."""
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{folder.name} (a) b) {state} 1 1 1 0 -1 {flags} {'0 ' * 10}{threads} 0 5 0 0\n")


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


def test_the_kernels_threads_are_left_out_but_not_one_that_cannot_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stat(tmp_path / "2", flags=0x208040)
    make_stat(tmp_path / "7", state="D", flags=0x400144)  # it closes a file whose server is silent
    make_stat(tmp_path / "8", state="Z", flags=0x400144)
    monkeypatch.setattr(process_table, "PROC", tmp_path)

    assert process_table.running() == [tmp_path / "7"]


def test_of_a_process_whose_first_thread_has_ended_another_one_is_looked_at(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_FIRST_THREAD]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == b"ready\n"
            (other,) = (name for name in os.listdir(f"/proc/{child.pid}/task") if name != str(child.pid))
            found = Path("/proc", other)

            assert found in process_table.running()
            assert str(tmp_path) in [path for path, _ in process_table.links(found)]
        finally:
            child.kill()


def test_a_program_whose_path_is_too_long_to_be_told_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)

    monkeypatch.setattr(os, "readlink", refuse)

    assert str(os.getppid()) in {folder.name for folder in process_table.running()}


def test_another_users_process_counts_for_one_who_may_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "readlink", refuse)

    assert str(os.getppid()) in {folder.name for folder in process_table.running()}


def test_this_process_is_the_same_though_proc_cannot_be_read_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = process_table.own()
    monkeypatch.setattr(process_table, "PROC", tmp_path)

    assert own.start_ticks
    assert process_table.own() == own


def test_a_process_that_cannot_be_looked_at_is_not_taken_for_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    own = process_table.own()

    def none_left(*_: object) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(os, "open", none_left)

    with pytest.raises(OSError, match="Too many open files in system"):
        process_table.is_running(own)
