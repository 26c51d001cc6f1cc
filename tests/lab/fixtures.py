"""pytest fixtures: one guest that tests share, and machines of their own for tests that cut the power."""

import warnings
from collections.abc import Callable, Iterator, Mapping

import pytest

from .helpers import MachineFactory, wipe
from .machine import CommandFailed, GiB, LabTimeout, Machine
from .stage import Scene, Stage

SHARED_DISKS = {"ubda": GiB, "ubdb": GiB, "ubdc": GiB, "ubdd": GiB}


@pytest.fixture(scope="session")
def shared_machine() -> Iterator[Stage]:
    """One booted guest with four disks of 1 GiB for the whole session; ask for `lab` or `stage` instead."""
    with Stage(SHARED_DISKS) as machine:
        machine.boot()
        yield machine


@pytest.fixture
def lab(shared_machine: Machine) -> Machine:
    """The shared guest, clean: no volume groups, no loops, nothing mounted, no state of lvmsnap."""
    prepare(shared_machine, lambda: wipe(shared_machine))
    return shared_machine


@pytest.fixture
def stage(shared_machine: Stage, request: pytest.FixtureRequest) -> Stage:
    """The shared guest with the module's SCENE on it, or with the usual one."""
    prepare(shared_machine, lambda: shared_machine.set_up(getattr(request.module, "SCENE", Scene())))
    return shared_machine


def prepare(machine: Machine, clean: Callable[[], None]) -> None:
    """Clean a guest; one that cannot be cleaned is booted anew: a test that broke it does not fail all that follow."""
    if machine.is_running():
        try:
            clean()
        except (LabTimeout, CommandFailed) as error:
            warnings.warn(f"the test before this one broke the guest, which was booted anew: {error}", stacklevel=1)
            machine.cut_power()
        else:
            return
    machine.boot()
    clean()


@pytest.fixture
def fresh_machine() -> Iterator[MachineFactory]:
    """Give a function that makes machines (arguments as Machine's, switched off), closed when the test ends."""
    machines: list[Machine] = []

    def make(disks: Mapping[str, int] | None = None, mem: str = "1G") -> Machine:
        machines.append(Machine(disks, mem))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()
