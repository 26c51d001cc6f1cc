"""Links that are answered do not wait for one that is not, and there are few threads where all are answered."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lvmsnap.system import link_probe


def test_one_link_that_is_silent_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in range(50):
        (tmp_path / f"{name}").touch()
    links = [str(tmp_path / f"{name}") for name in range(50)]
    reading, writing = os.pipe()
    woken, open_it = threading.Event(), os.open
    started: list[threading.Thread] = []

    def open_slowly(path: str, flags: int) -> int:
        if path in (links[3], links[4]):
            woken.wait(10)
        return open_it(path, flags)

    class Counted(threading.Thread):
        def start(self) -> None:
            started.append(self)
            super().start()

    monkeypatch.setattr(threading, "Thread", Counted)
    monkeypatch.setattr(os, "open", open_slowly)
    monkeypatch.setattr(link_probe, "NAME", Path("/proc/self/comm").read_text().strip())
    asking = Counted(target=link_probe.answer_all, args=(links, (), writing))
    asking.start()
    said = ""
    while said.count("\n") < 48:
        said += os.read(reading, 4096).decode()
    woken.set()
    asking.join()
    said += os.read(reading, 4096).decode()
    os.close(reading)
    os.close(writing)

    device = tmp_path.stat().st_dev
    assert sorted(said.splitlines()) == sorted(f"{number} {device}" for number in range(50))
    assert len(started) <= 8
