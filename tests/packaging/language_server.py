"""Speaks to yaml-language-server as an editor does: JSON-RPC over its standard streams (LSP 3.17)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import TOP

INSTALLED = TOP / ".venv/npm/node_modules/.bin/yaml-language-server"
PROGRAM = str(INSTALLED) if INSTALLED.exists() else shutil.which("yaml-language-server")
CURSOR = "|"
PATIENCE = 120  # seconds for all that is asked of it


class LanguageServer:
    """The server, with files of one folder opened in it one after the other."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        self._folder = folder
        self._process = subprocess.Popen(
            [PROGRAM, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._limit = threading.Timer(PATIENCE, self._process.kill)
        self._limit.start()
        self._asked = 0
        self._opened = 0
        self._problems: dict[str, list[str]] = {}
        markup = ["markdown", "plaintext"]
        abilities = {
            "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": markup}},
            "hover": {"contentFormat": markup},
            "publishDiagnostics": {},
        }
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": {"textDocument": abilities}})
        self._send({"method": "initialized", "params": {}})

    def completions(self, text: str) -> dict[str, str]:
        """Return what is offered at the cursor: by its label the text that is inserted."""
        found = self._at_cursor("textDocument/completion", text)
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: item.get("textEdit", {}).get("newText", item.get("insertText")) for item in items}

    def hover(self, text: str) -> str:
        """Return what is shown for the word at the cursor."""
        found: dict[str, dict[str, str]] = self._at_cursor("textDocument/hover", text)
        return found["contents"]["value"]

    def problems(self, text: str) -> list[str]:
        """Return what is wrong with a text."""
        uri = self._open(text)
        while uri not in self._problems:
            self._take(self._read())
        return self._problems[uri]

    def close(self) -> None:
        self._limit.cancel()
        self._process.kill()
        self._process.communicate()

    def _at_cursor(self, method: str, text: str) -> Any:
        before = text[: text.index(CURSOR)]
        place = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        document = {"uri": self._open(text.replace(CURSOR, "", 1))}
        return self._ask(method, {"textDocument": document, "position": place})

    def _open(self, text: str) -> str:
        self._opened += 1
        uri = f"file://{self._folder}/{self._opened}.yaml"
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return uri

    def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        while True:
            message = self._read()
            if message.get("id") == self._asked and "method" not in message:
                return message["result"]
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            found = message["params"]
            self._problems[found["uri"]] = [problem["message"] for problem in found["diagnostics"]]
        elif "id" in message:  # the server asks for settings, or for a registration: there are none
            self._send({"id": message["id"], "result": None})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        assert length, "the language server ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def accepted(text: str, inserted: str) -> str:
    """Return the text with what was inserted at the cursor, each placeholder as it is, indented as its line is."""
    line = text[: text.index(CURSOR)].rpartition("\n")[2]
    indent = line[: len(line) - len(line.lstrip())]
    plain = re.sub(r"\$\{\d+:([^}]*)\}|\$\d+", r"\1", inserted)
    return text.replace(CURSOR, plain.replace("\n", f"\n{indent}"), 1)
