"""`lvmsnap init`: lists the volumes, asks on a terminal which to snapshot, prints or writes a first profile."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lvmsnap.cli.commands import USUAL_FOLDER, _session
from lvmsnap.cli.next_steps import next_lines
from lvmsnap.model.errors import Refusal, RefusedError, UsageError

if TYPE_CHECKING:
    from lvmsnap.cli.layout import Line
    from lvmsnap.model.first_profile import Offer, Offers
    from lvmsnap.operations.first_profile import First, View
    from lvmsnap.operations.sessions import Session

HEAD = ("VOLUME", "SIZE", "HOLDS", "MOUNTED AT", "FREE IN GROUP")
TRIES = 3


def cmd_init(options: argparse.Namespace) -> int:
    """`lvmsnap init`: without VOLUME a list; else a profile, on stdout or, with --write, in a new file."""
    from lvmsnap.operations import first_profile

    path = first_profile.free_path(options.write, options.profile_dir) if options.write is not None else None
    session = _session(options, notes_are_output=True)
    view = first_profile.look(session)
    origins = first_profile.resolved(options.origins, view) if options.origins else _chosen(options, session, view)
    if not origins:
        return 0
    first = first_profile.make(session, view, origins, options.write or "")
    if path is None:
        print(first.text, end="", flush=True)
    else:
        first_profile.write(first, path)
        session.progress.note(f"wrote {path}")
    _tell(options, session, view, first, origins)
    return 0


def _tell(options: argparse.Namespace, session: Session, view: View, first: First, origins: tuple[str, ...]) -> None:
    """Warn of what is wrong with it, and say what to do next."""
    from lvmsnap.cli import error_view, layout

    if view.why_not:
        session.progress.warn(f"this machine could not be examined: {view.why_not}; size and location are guesses")
    proposal = first.proposal
    for check in proposal.failed if proposal else ():
        line: Line = ((layout.WARN, "warning: "), ("", f"its plan will be refused: {check.sentence}"))
        error_view.complain([line, *layout.hint_lines(check.hint)])
    if options.verbosity >= 0:
        is_risky = proposal is not None and proposal.is_risky
        steps = _after_writing(options, first.name, is_risky) if first.name else _after_printing(options, origins)
        layout.tell(next_lines(steps))


def _after_writing(options: argparse.Namespace, name: str, is_risky: bool) -> list[tuple[str, str]]:
    folder = _folder(options)
    first = [("lvmsnap install-boot", "so that no power cut keeps the machine from booting")] if is_risky else []
    return [
        *first,
        (f"lvmsnap plan{folder} {name}", "shows what it would do"),
        (f"lvmsnap run{folder} {name} -- COMMAND", "takes the snapshot around COMMAND"),
    ]


def _after_printing(options: argparse.Namespace, origins: tuple[str, ...]) -> list[tuple[str, str]]:
    command = f"lvmsnap init{_folder(options)} {shlex.join(origins)} --write NAME"
    return [(command, f"writes it into {options.profile_dir}")]


def _folder(options: argparse.Namespace) -> str:
    return "" if options.profile_dir == USUAL_FOLDER else f" --profile-dir {shlex.quote(options.profile_dir)}"


# --- the list ---------------------------------------------------------------------------------------------------------


def _chosen(options: argparse.Namespace, session: Session, view: View) -> tuple[str, ...]:
    """List the volumes, and on a terminal return the chosen ones. Raises RefusedError, UsageError."""
    from lvmsnap.cli import layout
    from lvmsnap.operations import first_profile
    from lvmsnap.system import reading

    if view.system is None:
        as_root = "" if reading.is_root() else "sudo lvmsnap init; or "
        hint = f"{as_root}lvmsnap init VG/LV, which then prints a template"
        raise RefusedError((Refusal(f"the volumes cannot be listed: {view.why_not}", hint),))
    found, is_asked = first_profile.offers(session, view.system), sys.stdin.isatty() and sys.stdout.isatty()
    if options.write is not None and not is_asked:
        hint = f"lvmsnap init VG/LV --write {options.write}; lvmsnap init lists the volumes"
        raise UsageError("--write needs a volume: there is no terminal to choose one on", hint=hint)
    layout.show(_list(found, is_numbered=is_asked), sys.stdout)
    sys.stdout.flush()
    if found.others and options.verbosity >= 0:
        others = ", ".join(f"{path} ({why})" for path, why in found.others)
        layout.tell([(("", "not offered: "), (layout.DIM, others))])
    if not found.volumes:
        return ()
    if is_asked and (chosen := _asked(found, view)):
        return chosen
    if options.verbosity >= 0:
        example = f"lvmsnap init{_folder(options)} {found.volumes[0].path} --write {options.write or 'NAME'}"
        layout.tell(next_lines([(example, "makes a profile; several volumes make one, all of one instant")]))
    return ()


def _list(found: Offers, *, is_numbered: bool) -> Iterator[Line]:
    from lvmsnap.cli.layout import BOLD

    rows = [HEAD, *map(_row, found.volumes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for number, row in enumerate(rows):
        start = (f"{number or '':>3}  ",) if is_numbered else ()
        cells = [f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True)]
        yield (("" if number else BOLD, "".join((*start, *cells)).rstrip()),)


def _row(offer: Offer) -> tuple[str, ...]:
    from lvmsnap.planning.sizing import human

    places = ", ".join(offer.mountpoints) or "-"
    return (offer.path, human(offer.size_bytes), offer.holds, places, human(offer.free_bytes))


def _asked(found: Offers, view: View) -> tuple[str, ...]:
    """Ask for the volumes; an empty answer is valid. Raises UsageError after TRIES invalid ones."""
    from lvmsnap.cli.error_view import complain
    from lvmsnap.operations import first_profile

    question = "Which? Numbers or names; Enter for none: "
    for left in reversed(range(TRIES)):
        print(question, end="", file=sys.stderr, flush=True)
        try:
            typed = sys.stdin.readline()
            if not typed:
                print(file=sys.stderr)  # after Ctrl-D, start a new line
            words = list(_names(typed.replace(",", " ").split(), found))
            return first_profile.resolved(words, view) if words else ()
        except UsageError as error:
            if not left:
                raise
            complain([(("", f"{error.message}{f'; {error.hint}' if error.hint else ''}"),)])
    return ()


def _names(words: Iterable[str], found: Offers) -> Iterator[str]:
    """Yield each word, or for a number the volume with that number in the list. Raises UsageError."""
    for word in words:
        if not word.isascii() or not word.isdigit():
            yield word
            continue
        if not 1 <= int(word) <= len(found.volumes):
            raise UsageError(f"there is no volume {word}", hint=f"choose 1 to {len(found.volumes)}")
        yield found.volumes[int(word) - 1].path
