"""Where a program is; what is wrong with the program of a command that cannot be started."""

from __future__ import annotations

import os
import shlex

# Known only to a shell (bash(1), dash(1)).
SHELL_WORDS = (
    *("cd", "source", ".", "export", "set", "umask", "ulimit", "eval", "exec", "trap", "shopt", "alias", "function"),
    *("if", "for", "while", "case", "until", "!", "{", "(", "[["),
)


def which(word: str, path: str | None = None) -> str | None:
    """Return the path of a program, None if there is none; `path` is PATH, by default that of this process.

    shutil.which does the same, but imports three compression libraries.
    """
    search = os.environ.get("PATH", os.defpath) if path is None else path
    folders = [""] if "/" in word else search.split(os.pathsep) if search else []
    places = (os.path.join(folder, word) for folder in folders)
    return next((place for place in places if os.access(place, os.X_OK) and not os.path.isdir(place)), None)


def problem(argv: tuple[str, ...], path: str | None = None) -> tuple[str, str]:
    """Return what is wrong with the command's program and what to do, both "" if nothing is; `path` is PATH."""
    word = argv[0]
    if which(word, path) is not None:
        return "", ""
    if "/" in word and os.path.isdir(word):
        return "it is a directory", "name a program in it"
    if "/" in word and os.path.lexists(word):
        return "not executable", f"chmod +x {shlex.quote(word)}, or name what runs it: sh {shlex.quote(word)}"
    return "no such program", _hint(argv, path)


def _hint(argv: tuple[str, ...], path: str | None) -> str:
    word = argv[0]
    if len(argv) == 1 and " " in word.strip():
        return f"do not quote the whole command; give program and arguments separately: {word.strip()}"
    if word in SHELL_WORDS:
        return f"that is a shell builtin or keyword, and no shell is involved: sh -c {shlex.quote(' '.join(argv))}"
    if "=" in word.partition("/")[0] and len(argv) > 1:
        return f"no shell is involved, so nothing sets that variable: env {shlex.join(argv)}"
    if "/" in word:
        where = "" if word.startswith("/") else f" in {os.getcwd()}; better give its full path"
        return f"there is no such file{where}"
    return f"it is not on the PATH, {path or os.environ.get('PATH', '')}: install it, or give its full path"
