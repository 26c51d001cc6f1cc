"""Fixtures of all tests: the lab's machines."""

import signal

from tests.lab.fixtures import fresh_machine, lab, shared_machine

__all__ = ["fresh_machine", "lab", "shared_machine"]

# Whoever starts the tests by nohup, or in the background of a script, has these ignored, and so would all children.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
