"""Reports progress on stderr: one line per step with its time; on a terminal with colour and a spinner."""

from __future__ import annotations

from lvmsnap.cli import live_line
from lvmsnap.cli.error_view import complain, is_listened_to
from lvmsnap.cli.layout import BAD, COMMAND, DIM, GOOD, UNDO_COMMAND, WARN, Line, tell, text
from lvmsnap.model.plan import Action
from lvmsnap.planning.hook_actions import hook_of
from lvmsnap.system.processes import Finished, shell_line

HEADINGS = {"undo": "undoing what was begun:", "down": "", "up": ""}


class Reporter:
    """The executor's Progress and the runner's observer: progress where it is wanted, problems always.

    Verbosity: -1 no progress; 0 progress on a terminal and in the journal; 1 anywhere, with each command.
    """

    def __init__(self, verbosity: int = 0, *, notes_are_output: bool = False) -> None:
        """With `notes_are_output` the notes are the command's actual output, and only -q suppresses them."""
        self._verbosity = verbosity
        self._notes_are_output = notes_are_output
        self._verb = ""
        self._place = ""
        self._with_next: list[Line] = []
        self._reported: set[tuple[str, str]] = set()

    def begin(self, verb: str, _actions: tuple[Action, ...]) -> None:
        """Announce once that the undo begins."""
        if HEADINGS[verb] and verb != self._verb:
            self._say(((DIM, HEADINGS[verb]),))
        self._verb = verb

    def step(self, action: Action, number: int, total: int) -> None:
        """Show the step on a terminal."""
        self._place = f"{number}/{total}"
        # What records the terminal may be writing to a held origin, and then the terminal blocks.
        live_line.clear()
        if self._verbosity >= 0 and not action.holds:
            live_line.spin(text(self._summary(action)))

    def done(self, action: Action, seconds: float) -> None:
        """Print the step's line; if the next step's command does the work, the line waits for that."""
        live_line.clear()
        with_next = self._verb == "up" and not action.do
        time = "" if with_next else f"{seconds:.1f} s"
        line = ((GOOD, "ok     "), (DIM, f"{time:>6}  "), *self._summary(action))
        if with_next:
            self._with_next = [line]
            return
        for earlier in (*self._with_next, line):
            self._say(earlier)
        self._with_next = []

    def failed(self, action: Action, complaint: str) -> None:
        """Print the step's line and why it failed, once; not what another failure only held back."""
        live_line.clear()
        self._with_next = []
        if self._verb == "up" and not self._is_heard():
            return  # the error says it
        if self._verb in ("undo", "down") and self._verbosity <= 0 and not hook_of(action):
            return  # it is tried again, and if that fails too the error says why
        if complaint.startswith("held back: ") or (action.object, complaint) in self._reported:
            return
        self._reported.add((action.object, complaint))
        complain([((BAD, "FAILED "), ("", " " * 8), *self._summary(action), ("", f": {complaint}"))])

    def note(self, message: str) -> None:
        """Print a line of its own."""
        live_line.clear()
        self._say((("", message),))

    def warn(self, message: str) -> None:
        """Print a warning, in every mode."""
        live_line.clear()
        complain([((WARN, "warning: "), ("", message))])

    def live(self, message: str) -> None:
        """Show the current state on a terminal; nowhere else."""
        if self._verbosity >= 0:
            live_line.show(message)

    def observe(self, finished: Finished) -> None:
        """Print each command and its time, with -v."""
        if self._verbosity > 0:
            live_line.clear()
            command = f"{shell_line(finished.argv)}  # {finished.seconds:.2f} s"
            self._say(((DIM, "  $ "), (UNDO_COMMAND, command)))

    def stalled(self, argv: tuple[str, ...], seconds: float) -> None:
        """Say that a command takes long; it is left to finish."""
        live_line.clear()
        self._say((("", f"still running after {seconds:.0f} s, and left to finish: "), (COMMAND, shell_line(argv))))

    def _summary(self, action: Action) -> Line:
        summary = action.summary if self._verb == "up" else action.undo_summary
        style = DIM if self._verb == "undo" else ""
        named = () if action.object in summary else ((DIM, f" ({action.object})"),)
        return ((style, f"{self._place} {summary}"), *named)

    def _say(self, line: Line) -> None:
        if self._is_heard():
            tell([line])

    def _is_heard(self) -> bool:
        return self._verbosity > 0 or (self._verbosity == 0 and (self._notes_are_output or is_listened_to()))
