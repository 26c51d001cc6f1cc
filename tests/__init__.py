"""The tests of lvmsnap: unit/ and simulation/ need nothing but Python, lab/ boots a guest with real LVM."""

from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
