"""Which of the known words was probably meant by a misspelt one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

CUTOFF = 0.6  # difflib's own


def nearest(word: str, known: Iterable[str], cutoff: float = CUTOFF) -> str:
    """Return the known word most similar to `word`, "" if none is similar enough (cutoff 1.0: only the same word)."""
    import difflib  # only needed for misspelt words

    return next(iter(difflib.get_close_matches(word, tuple(known), n=1, cutoff=cutoff)), "")
