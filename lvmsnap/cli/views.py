"""Makes lines of text, or JSON, of plans and of what was recovered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from lvmsnap.cli.layout import (
    BAD,
    BOLD,
    COMMAND,
    DIM,
    GOOD,
    UNDO_COMMAND,
    WARN,
    Line,
    hint_lines,
)
from lvmsnap.model import codec
from lvmsnap.model.plan import Action, Check, Direction, Fact, Plan
from lvmsnap.operations.recover import Recovered
from lvmsnap.planning.state import MEANING, Status
from lvmsnap.planning.wording import in_words
from lvmsnap.system.processes import shell_line

# What these are of is shown with one volume too.
ALWAYS_NAMED = ("volume group", "origin", "tree")


def plan_lines(name: str, plan: Plan, *, note: str = "", description: str = "") -> Iterator[Line]:
    """Return a plan for a reader: the facts it rests on, every check, every step with its command and undo."""
    title = f"lvmsnap {plan.direction.value} {name}"
    yield ((BOLD, title), (DIM, f"  {note}" if note else ""))
    if description:
        yield (("", description),)
    if plan.facts:
        yield ()
        yield ((BOLD, "Facts"),)
        yield from _fact_lines(plan.facts)
    if plan.checks:
        yield ()
        yield from _check_lines(plan.checks)
    yield ()
    if not plan.actions:
        nothing = "nothing exists: there is nothing to do" if plan.direction is Direction.DOWN else "no steps"
        yield ((BOLD, "Steps  "), ("", nothing))
        return
    yield ((BOLD, "Steps"),)
    for number, action in enumerate(plan.actions, 1):
        yield from _step_lines(number, action, plan.direction)


def _fact_lines(facts: tuple[Fact, ...]) -> Iterator[Line]:
    """Give the facts; where there are several volumes, each with what it is of."""
    several = sum(fact.name == "snapshot" for fact in facts) > 1
    for fact in facts:
        of = f"{fact.of}: " if fact.of and (several or fact.name in ALWAYS_NAMED) else ""
        yield ((DIM, f"  {fact.name:<14} "), ("", f"{of}{fact.value}"))


def _check_lines(checks: tuple[Check, ...]) -> Iterator[Line]:
    failed = sum(not check.passed for check in checks)
    verdict = (BAD, f"  {failed} of {len(checks)} refuse it") if failed else (GOOD, f"  all {len(checks)} passed")
    yield ((BOLD, "Checks"), verdict)
    for check in checks:
        mark = (WARN, "  !!  ") if check.warning else (GOOD, "  ok  ") if check.passed else (BAD, "  NO  ")
        yield (mark, ("", check.title), (DIM if check.passed else BAD, f": {check.found}" if check.found else ""))
        if check.warning or not check.passed:
            yield from hint_lines(check.hint, indent=6)


def _step_lines(number: int, action: Action, direction: Direction) -> Iterator[Line]:
    up = direction is Direction.UP
    summary = action.summary if up else action.undo_summary
    yield ((BOLD, f"{number:>3}. {summary}"), (DIM, f"  ({action.object})" if action.object not in summary else ""))
    commands = action.do if up else action.undo
    if up and not commands:
        yield ((DIM, "     the next step's command does it"),)
    yield from (((DIM, "     first, by hand: "), (COMMAND, shell_line(argv))) for argv in action.by_hand)
    yield from (((DIM, "     $ "), (COMMAND, shell_line(argv))) for argv in commands)
    if up:
        undo = action.undo or ()
        yield from (((DIM, "     undo: "), (UNDO_COMMAND, shell_line(argv))) for argv in undo)


def recovered_lines(found: tuple[Recovered, ...], names: tuple[str, ...] = ()) -> Iterator[Line]:
    """Return what `recover` found, of the named profiles or of all, and what it did about it."""
    if not found:
        whose = ", ".join(names) or "lvmsnap's"
        yield (("", f"nothing of {whose} is on this machine: nothing to recover"),)
    for recovered in found:
        status = recovered.status
        if recovered.is_taken_down:
            yield ((GOOD, "recovered  "), ("", f"{status.name}: it was {status.state.value}, now it is down"))
        elif recovered.run_pid:
            yield (
                (DIM, "left alone "),
                ("", f"{status.name}: lvmsnap (pid {recovered.run_pid}) is using it"),
            )
        else:
            yield ((DIM, "left alone "), ("", f"{status.name}: it is {status.state.value}: {MEANING[status.state]}"))


def to_json(value: Plan | tuple[Status, ...]) -> str:
    """Return a plan or states as JSON; each command also as the line one would paste."""
    data: object = [asdict(status) for status in value] if isinstance(value, tuple) else _plan_data(value)
    return codec.to_json(data, indent=2)


def _plan_data(plan: Plan) -> dict[str, object]:
    def lines(commands: tuple[tuple[str, ...], ...]) -> list[str]:
        return [shell_line(argv) for argv in commands]

    def step(action: Action) -> dict[str, object]:
        fields = {name: value for name, value in asdict(action).items() if name not in ("locks", "holds")}
        commands = {name: lines(getattr(action, name)) for name in ("do", "undo", "by_hand")}
        return {**fields, **commands, "condition": in_words(action.condition)}

    steps = [step(action) for action in plan.actions]
    return {**asdict(plan), "actions": steps}
