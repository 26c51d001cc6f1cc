"""Fixtures of all tests: the lab's machines."""

from tests.lab.fixtures import fresh_machine, lab, shared_machine

__all__ = ["fresh_machine", "lab", "shared_machine"]
