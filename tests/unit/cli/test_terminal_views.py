"""Plans as a terminal of 80 or 120 columns shows them, kept as files; `LVMSNAP_WRITE_GOLDEN=1` writes them anew."""

from __future__ import annotations

import pytest

from lvmsnap.cli import layout, views
from lvmsnap.model.plan import Plan
from lvmsnap.planning import planner
from tests import samples
from tests.unit.cli.seen import golden

NOTE = "/etc/lvmsnap/nightly.yaml"


def refused() -> Plan:
    facts = samples.facts(samples.vg(free_extents=0), file=samples.FILE_FACTS, is_root=False)
    return planner.plan_up(samples.with_file(), facts, (samples.PV_UUID,))


def ready() -> Plan:
    return planner.plan_up(samples.with_file(), samples.facts(), (samples.PV_UUID,))


def on_terminal(plan: Plan, columns: int) -> list[str]:
    lines = views.plan_lines("nightly", plan, note=NOTE)
    return [layout.text(row) for line in lines for row in layout.fold(line, columns)]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_plan_is_as_it_was_last_read_by_a_person(columns: int) -> None:
    for name, plan in (("plan", ready()), ("refused-plan", refused())):
        golden(f"{name}-{columns}.txt", "\n".join(on_terminal(plan, columns)))


def test_why_a_plan_is_refused_is_seen_without_scrolling() -> None:
    rows = on_terminal(refused(), 80)

    assert len(rows) <= 24
    assert rows[-1].startswith("refused: ")
    assert all(len(row) <= 80 for row in rows)
