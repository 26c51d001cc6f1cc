"""Every step of up, down and recover goes wrong in every way, in a simulation of the machine under the real code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from lvmsnap.execution import records
from lvmsnap.execution.records import RecordError
from lvmsnap.model.target import Record
from lvmsnap.operations import run
from tests.simulation import actors
from tests.simulation.parts import Fault
from tests.simulation.stage import Stage
from tests.simulation.system import DISK_PV, ELSEWHERE, FILE, FOREIGN_FILE
from tests.simulation.walk import (
    BOOTS,
    DOWN,
    HOLD,
    HOOKED,
    HOOKS,
    KILLED_AT,
    KILLS,
    LENT,
    MEND,
    PLAIN,
    RUN,
    SCENES,
    UP,
    Scene,
    Walk,
)
from tests.simulation.world import NAME, World, look, standing


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_up_makes_all_and_down_leaves_nothing(stage: Stage, scene: Scene) -> None:
    stage.world = scene.clean()
    before = look(stage.world.system)
    assert stage.up(scene.profile) == "done"
    assert stage.up(scene.profile).startswith("refused")
    assert stage.down(scene.profile) == "done"
    print("\n".join(stage.world.log))
    if not scene.remove:
        assert look(stage.world.system) == before


@pytest.mark.parametrize("what", [UP, DOWN, MEND, RUN])
@pytest.mark.parametrize(
    "scene", [PLAIN, SCENES["hooks, and a file"], SCENES["luks"]], ids=["plain", "hooks, and a file", "luks"]
)
def test_whatever_is_raised_wherever_it_is_undone_as_a_failed_step_is(stage: Stage, scene: Scene, what: str) -> None:
    raise_everywhere(stage, scene, what)


def test_whatever_is_raised_in_a_hold_it_is_undone_as_a_failed_step_is(stage: Stage) -> None:
    raise_everywhere(stage, PLAIN, HOLD)


def raise_everywhere(stage: Stage, scene: Scene, what: str) -> None:
    walk = Walk(stage, scene)
    up, _ = walk.act(UP, scene.clean())
    walk.all_of_it = standing(up, found_directory=scene.found)
    start = {
        UP: scene.clean(),
        RUN: scene.clean(),
        HOLD: scene.clean(),
        DOWN: up,
        MEND: walk.act(UP, scene.clean(), Fault(KILLED_AT, KILLS[1]))[0],
    }[what]
    walk.raise_everywhere(what, start)
    kinds = Counter(problem.splitlines()[0] for problem in walk.problems)
    shortest = sorted(walk.problems, key=len)[:3]
    assert walk.paths > 200
    assert not walk.problems, f"{len(walk.problems)} of {walk.paths} paths: {kinds.most_common(20)}\n" + "\n\n".join(
        shortest
    )


@pytest.mark.parametrize("scene", [HOOKED, SCENES["two volumes, hooks and a file"]], ids=["hooks", "and a file"])
@pytest.mark.parametrize("spoilt", ["removed", "garbled"])
def test_a_command_that_loses_the_record_of_its_run_keeps_no_hook_from_running(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, spoilt: str, scene: Scene
) -> None:
    def command(*_: object) -> int:
        del stage.world.records[NAME]
        if spoilt == "garbled":
            monkeypatch.setattr(records, "read", garbled)
        return 0

    def garbled(_name: str) -> Record | None:
        raise RecordError("the record cannot be read")

    monkeypatch.setattr(run, "supervise", command)
    walk = Walk(stage, scene)

    ended, how = walk.act(RUN, scene.clean())

    assert how == "done"
    assert [argv[1] for argv in ended.ran if argv[0] == "hook"] == list(HOOKS), "\n".join(ended.log)
    assert (walk.look(ended), ended.records) == (walk.before, {})


@pytest.mark.parametrize("scene", [HOOKED, SCENES["two volumes, hooks and a file"]], ids=["hooks", "and a file"])
def test_a_record_that_became_read_only_has_no_hook_run_twice_and_nothing_taken_for_lost(
    stage: Stage, scene: Scene
) -> None:
    walk = Walk(stage, scene)
    world, _ = walk.act(UP, scene.clean())
    world.is_read_only = True

    for _ in range(2):
        world, how = walk.act(DOWN, world)
        assert how == "residue: record"
        assert walk.look(world) == walk.before
    world.is_read_only = False
    ended, how = walk.act(DOWN, world)

    assert how == "done", "\n".join(ended.log)
    assert [argv[1] for argv in ended.ran if argv[0] == "hook"] == list(HOOKS), "\n".join(ended.log)
    assert (ended.records, ended.notes) == ({}, {})


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_whatever_goes_wrong_nothing_foreign_is_touched_and_nothing_of_ours_stays(stage: Stage, scene: Scene) -> None:
    walk = Walk(stage, scene)
    up, how = walk.act(UP, scene.clean())
    assert how == "done"
    walk.all_of_it = standing(up, found_directory=scene.found)
    once = scene not in (LENT, PLAIN, HOOKED, SCENES["luks"]) and not scene.other_snapshot
    twice = not once and not scene.two
    walk.one_fault(UP, scene.clean(), twice=twice)
    walk.one_fault(DOWN, up, twice=twice)
    print(f"{walk.paths} paths")
    kinds = Counter(problem.splitlines()[0] for problem in walk.problems)
    shortest = sorted(walk.problems, key=len)[:3]
    assert not walk.problems, f"{len(walk.problems)} of {walk.paths} paths: {kinds.most_common(20)}\n" + "\n\n".join(
        shortest
    )


@pytest.mark.parametrize("scene", [LENT, SCENES["hooks, and a file"]], ids=["lent", "hooks, and a file"])
def test_extents_that_somebody_was_given_on_the_lent_pv_are_named_and_never_lost(stage: Stage, scene: Scene) -> None:
    walk = Walk(stage, scene)
    up, _ = walk.act(UP, scene.clean())
    worlds: list[World] = []
    for what, start in ((UP, scene.clean()), (DOWN, up)):
        count = len(walk.commands(what, start))
        for at in range(1, count + 1):
            extends = Fault(at, "extends")
            worlds.append(walk.act(what, start, extends)[0])
            for later in range(at + 1, count + 1):
                for kind in ("fails", "killed after", "cut after"):
                    world, how = walk.act(what, start, extends, Fault(later, kind))
                    worlds += walk.after(world, how, BOOTS[:3])
    hit = [world for world in worlds if "other" in world.system.lvs and world.system.lent() in _extents(world)]
    assert len(hit) > 15
    for world in hit:
        mended, how = walk.act(MEND, world)
        assert how.startswith("residue: ")
        assert "lent PV in the volume group" in how
        assert not mended.wrongs
        assert world.system.lent() in _extents(mended)
        mended.system.free_lent()
        ended, how = walk.act(MEND, mended)
        assert (how, ended.wrongs, ended.records) == ("done", [], {}), "\n".join(ended.log)
        assert ended.system.members == [DISK_PV]
        assert FILE not in ended.system.files


def _extents(world: World) -> dict[str, int]:
    return world.system.lvs["other"].extents


@pytest.mark.parametrize("scene", [LENT, PLAIN], ids=["lent", "plain"])
def test_at_every_step_a_second_host_touches_nothing_of_it(stage: Stage, scene: Scene) -> None:
    walk = Walk(stage, scene)
    for world in worlds_between(walk):
        seen = actors.of_second_host(world)
        for what in (MEND, DOWN):
            after, how = walk.act(what, seen)
            print(what, how)
            assert (how, after.ran, after.records) == ("done", seen.ran, {}), "\n".join(after.log)
            assert look(after.system) == look(seen.system)


@pytest.mark.parametrize("scene", [LENT, PLAIN], ids=["lent", "plain"])
def test_at_every_step_a_merge_may_begin_and_nothing_is_touched_until_it_has_ended(stage: Stage, scene: Scene) -> None:
    walk = Walk(stage, scene)
    begun = [merging for world in worlds_between(walk) if (merging := actors.begin_merge(world))]
    assert len(begun) > 1
    for world in begun:
        for what in (MEND, DOWN):
            after, how = walk.act(what, world)
            assert how.startswith("refused: LVM is merging vg0/snap into"), "\n".join(after.log)
            assert (after.ran, look(after.system)) == (world.ran, look(world.system))
        mended, _ = walk.act(MEND, actors.end_merge(world))
        assert (walk.look(mended), mended.records) == (walk.before, {}), "\n".join(mended.log)


def worlds_between(walk: Walk) -> Iterator[World]:
    """Yield the machine as it is where `up` and `down` were killed, before and after each of their commands."""
    up, how = walk.act(UP, walk.scene.clean())
    assert how == "done"
    yield up
    for what, start in ((UP, walk.scene.clean()), (DOWN, up)):
        for at in range(1, len(walk.commands(what, start)) + 1):
            for kind in KILLS:
                yield walk.act(what, start, Fault(at, kind))[0]


# --- a user who owns the directories and swaps them -------------------------------------------------------------------


@pytest.mark.parametrize("allocation", ["fallocate", "zero-fill", ""])
def test_directories_swapped_at_any_command_lead_nothing_astray_and_swapped_back_nothing_is_left(
    stage: Stage, allocation: str
) -> None:
    scene = Scene(allocation)
    before = look(scene.clean().system)
    stage.world = scene.clean()
    assert stage.up(scene.profile) == "done"
    for at in range(1, stage.world.count + 1):
        stage.world = world = scene.clean().with_faults(Fault(at, "swapped"))
        how = stage.up(scene.profile)
        assert how == "undone" or how.startswith("residue: backing file"), (how, world.log)
        assert world.wrongs == [], world.log
        assert [mount for mount in world.system.mounts if mount[0] == ELSEWHERE] == [], world.log
        assert [bound for bound in world.system.loops.values() if bound.path == FOREIGN_FILE] == [], world.log
        world.system.is_swapped = False
        assert stage.mend(scene.profile) == "done", world.log
        assert look(world.system) == before, (at, how, world.log)
