"""Fixtures of all tests: the lab's machines."""

import signal

from tests.lab.fixtures import fresh_machine, lab, shared_machine

__all__ = ["fresh_machine", "lab", "shared_machine"]

# Who starts the tests in the background, as a script's `&` does, has INT ignored in them and in all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
