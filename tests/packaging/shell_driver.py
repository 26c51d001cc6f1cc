"""Asks bash, zsh and fish what they would complete: each one itself, by the file that is installed for it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 20.0


class Bash:
    """Calls the function with the words as readline parts them."""

    def __init__(self, files: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._file, self._environment, self._folder = files / "bash/lvmsnap", environment, folder

    def completions(self, line: str) -> set[str]:
        spaced = line.replace("=", " = ")
        words = [*shlex.split(spaced), ""] if line.endswith((" ", "=")) else shlex.split(spaced)
        script = f"source {self._file}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
        script += 'shopt -s progcomp; _lvmsnap; printf "%s\\n" "${COMPREPLY[@]}"'
        return _told(["bash", "--norc", "-c", script], self._environment, self._folder)

    def close(self) -> None:
        pass


class Fish:
    """Has fish itself say what it would offer."""

    def __init__(self, files: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._file, self._environment, self._folder = files / "fish/lvmsnap.fish", environment, folder

    def completions(self, line: str) -> set[str]:
        script = f"source {self._file}; complete -C {shlex.quote(line)}"
        told = _told(["fish", "--no-config", "-c", script], self._environment, self._folder)
        return {one.partition("\t")[0] for one in told}

    def close(self) -> None:
        pass


class Zsh:
    """Presses TAB in a zsh on a terminal of its own, whose compadd writes down what it is given."""

    def __init__(self, files: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._offered = folder / ".offered"
        self.terminal = Terminal(["zsh", "-f", "-i"], environment, folder)
        setup = f"fpath=({files}/zsh $fpath); autoload -Uz compinit; compinit -u -D; OFFERED={self._offered}\n{_NOTED}"
        (folder / ".setup").write_text(setup)
        self.terminal.type(f"source {folder}/.setup; : > $OFFERED.ready\r")
        self._wait_for(Path(f"{self._offered}.ready"))

    def completions(self, line: str) -> set[str]:
        end = Path(f"{self._offered}.end")
        self._offered.write_text("")
        end.unlink(missing_ok=True)
        self.terminal.type(f"{line}\t")
        self._wait_for(end)
        self.terminal.type("\x15")
        return set(self._offered.read_text().splitlines())

    def _wait_for(self, path: Path) -> None:
        until = time.monotonic() + PATIENCE
        while not path.exists():
            self.terminal.read(0.02)
            assert time.monotonic() < until, self.terminal.shown

    def close(self) -> None:
        self.terminal.close()


_NOTED = r"""
compadd() {
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return }
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- $hits >> $OFFERED
  builtin compadd "$@"
}
noted() { _main_complete; compstate[insert]= compstate[list]=; : > $OFFERED.end }
zle -C noted complete-word noted
bindkey '^I' noted
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        given = {**environment, "TERM": "dumb", "PS1": "> ", "HISTFILE": "/dev/null"}
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=given, cwd=folder, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, seconds: float) -> str:
        while select.select([self._master], [], [], seconds)[0]:
            self.shown += os.read(self._master, 65536).decode(errors="replace")
        return self.shown

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + PATIENCE
        while text not in self.read(0.05):
            assert time.monotonic() < until, self.shown

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._master)


def _told(command: list[str], environment: Mapping[str, str], folder: Path) -> set[str]:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return set(done.stdout.splitlines()) - {""}
