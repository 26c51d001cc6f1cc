"""What is told to systemd arrives at the socket that it names; where there is none nothing goes wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lvmsnap.system import service_manager


@pytest.mark.parametrize("kind", ["a path", "in the abstract namespace"])
def test_a_state_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    named = str(tmp_path / "notify") if kind == "a path" else f"@{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(named.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", named)

        service_manager.tell("READY=1\nSTATUS=nächtlich \udcff")

        listening.settimeout(5)
        assert listening.recv(4096) == b"READY=1\nSTATUS=n\xc3\xa4chtlich \\udcff"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/notify", "@nobody listens", f"/{'x' * 200}"])
def test_where_nobody_listens_nothing_is_said(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)

    service_manager.tell("READY=1")


def test_a_systemd_that_does_not_read_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = str(tmp_path / "notify")
    monkeypatch.setattr(service_manager, "LONGEST_SECONDS", 0.05)
    monkeypatch.setenv("NOTIFY_SOCKET", named)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(named)

        for _ in range(40):  # its queue is shorter
            service_manager.tell("STATUS=x")
