"""Which of the known words another one was probably meant to be. Pure."""

from __future__ import annotations

from collections.abc import Iterable

CUTOFF = 0.6  # difflib's own


def nearest(word: str, known: Iterable[str], cutoff: float = CUTOFF) -> str:
    """Return the known word that is most like `word`, "" where none is like it enough (1.0: only the same)."""
    import difflib  # nobody needs it where nothing is misspelt

    return next(iter(difflib.get_close_matches(word, tuple(known), n=1, cutoff=cutoff)), "")
