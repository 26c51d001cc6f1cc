"""Renders plans and what was recovered as lines of text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

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
from lvmsnap.model.dataclass import asdict
from lvmsnap.model.plan import Action, Check, Direction, Fact, Plan
from lvmsnap.operations.recover import Recovered
from lvmsnap.planning.state import MEANING, Status
from lvmsnap.planning.wording import in_words
from lvmsnap.system.processes import shell_line

# Incremented if a field of --json changes its meaning or is removed; new fields may be added at any time.
JSON_FORMAT = 1
# The facts whose object is shown even if there is only one volume.
ALWAYS_NAMED = ("volume group", "origin", "tree")


def plan_lines(
    name: str, plan: Plan, *, note: str = "", description: str = "", is_verbose: bool = False
) -> Iterator[Line]:
    """Yield a plan for a reader: the facts it rests on, its steps, its checks, and the verdict as the last line.

    A refused plan shows its steps only if `is_verbose`: what is wrong should be seen first.
    """
    title = f"lvmsnap {plan.direction.value} {name}"
    yield ((BOLD, title), (DIM, f"  {note}" if note else ""))
    if description:
        yield (("", description),)
    if plan.facts:
        yield ()
        yield ((BOLD, "Facts"),)
        yield from _fact_lines(plan.facts)
    failed = [check for check in plan.checks if not check.passed]
    if plan.actions and (is_verbose or not failed):
        yield ()
        yield ((BOLD, "Steps"),)
        for number, action in enumerate(plan.actions, 1):
            yield from _step_lines(number, action, plan.direction)
    if plan.checks:
        yield ()
        yield ((BOLD, "Checks"),)
        yield from _check_lines(plan.checks, is_verbose=is_verbose)
    yield ()
    yield _verdict(name, plan, has_steps_left=bool(failed and plan.actions) and not is_verbose)


def _verdict(name: str, plan: Plan, *, has_steps_left: bool) -> Line:
    command, steps = f"lvmsnap {plan.direction.value} {name}", _count(len(plan.actions), "step")
    these = f"these {steps}" if len(plan.actions) != 1 else "this step"
    failed = sum(not check.passed for check in plan.checks)
    match verdict(plan):
        case Verdict.REFUSED:
            more = f"; -v shows the {steps}" if has_steps_left else ""
            of_all = f"{failed} of {len(plan.checks)} checks" if failed < len(plan.checks) else _count(failed, "check")
            return ((BAD, "refused: "), ("", f"{of_all} failed{more}"))
        case Verdict.NOTHING:
            return ((GOOD, "nothing to do: "), ("", f"nothing of {name} exists"))
        case Verdict.NOT_CHECKED:
            return ((WARN, "not checked: "), ("", f"{command} would run {these}, if all is as assumed"))
        case Verdict.READY:
            return ((GOOD, "ready: "), ("", f"{command} runs {these}"))


class Verdict(Enum):
    """The verdict on a plan."""

    READY = "ready"
    REFUSED = "refused"
    NOTHING = "nothing to do"
    NOT_CHECKED = "not checked"


def verdict(plan: Plan) -> Verdict:
    """Return the verdict on a plan. A plan of `up` has checks, unless the machine was not examined."""
    if not all(check.passed for check in plan.checks):
        return Verdict.REFUSED
    if plan.direction is Direction.DOWN:
        return Verdict.READY if plan.actions else Verdict.NOTHING
    return Verdict.READY if plan.checks else Verdict.NOT_CHECKED


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _fact_lines(facts: tuple[Fact, ...]) -> Iterator[Line]:
    """Yield the facts; if there are several volumes, each with its object."""
    several = sum(fact.name == "snapshot" for fact in facts) > 1
    for fact in facts:
        of = f"{fact.of}: " if fact.of and (several or fact.name in ALWAYS_NAMED) else ""
        yield ((DIM, f"  {fact.name:<14} "), ("", f"{of}{fact.value}"))


def _check_lines(checks: tuple[Check, ...], *, is_verbose: bool) -> Iterator[Line]:
    """Yield the failed checks, the warnings, and the passed ones: in one line or, if `is_verbose`, one for each."""
    for check in sorted((one for one in checks if one.warning or not one.passed), key=lambda one: one.passed):
        yield ((WARN, "  warn  ") if check.passed else (BAD, "  FAIL  "), ("", check.sentence))
        yield from hint_lines(check.hint, indent=8)
    passed = [check for check in checks if check.passed and not check.warning]
    if is_verbose:
        yield from (
            ((GOOD, "  ok    "), ("", one.title), (DIM, f": {one.found}" if one.found else "")) for one in passed
        )
    elif passed:
        yield ((GOOD, "  ok    "), ("", f"{_count(len(passed), 'check')} passed; -v lists them"))


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
    """Yield what `recover` found, of the named profiles or of all, and what it did about it."""
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
    """Return a plan or states as JSON, with null for nothing, and commands as lines to paste into a shell."""
    data: dict[str, object]
    data = {"profiles": [asdict(one) for one in value]} if isinstance(value, tuple) else _plan_data(value)
    return codec.to_json({"format": JSON_FORMAT, **with_nulls(data)}, indent=2)


def _plan_data(plan: Plan) -> dict[str, object]:
    def lines(commands: tuple[tuple[str, ...], ...]) -> list[str]:
        return [shell_line(argv) for argv in commands]

    def step(action: Action) -> dict[str, object]:
        fields = {name: value for name, value in asdict(action).items() if name not in ("locks", "holds")}
        commands = {name: lines(getattr(action, name)) for name in ("do", "undo", "by_hand")}
        return {**fields, **commands, "condition": in_words(action.condition)}

    def outcome(check: Check) -> dict[str, object]:
        is_well = check.passed and not check.warning
        return {**asdict(check), **({"problem": None, "hint": None} if is_well else {})}

    steps, checks = [step(action) for action in plan.actions], [outcome(check) for check in plan.checks]
    return {"verdict": verdict(plan).value, **asdict(plan), "actions": steps, "checks": checks}


def with_nulls(data: dict[str, object]) -> dict[str, object]:
    """Return the data with None in place of each empty text, and of each size that is 0."""

    def is_nothing(name: str, value: object) -> bool:
        return value == "" or (name == "size_bytes" and not value)

    def value_of(value: object) -> object:
        match value:
            case dict():
                return {name: None if is_nothing(name, one) else value_of(one) for name, one in value.items()}
            case list() | tuple():
                return [value_of(one) for one in value]
            case _:
                return value

    return {name: value_of(value) for name, value in data.items()}
