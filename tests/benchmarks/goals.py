"""The goals: which work of lvmsnap is compared with what, and how many times as long it may take. Data alone."""

from __future__ import annotations

from tests.benchmarks.figures import Goal

UP_DOWN = "`up` and `down`, space in the group"
FILE = "`up` and `down`, a file of 4 GiB lends the space"
CROWD = "`plan` with 1,000 volumes, 200 loop devices, 1,000 mounts, less `plan` without"
WRITES = "what can be written to the origin, its snapshot in a file"
GOALS = (
    Goal(UP_DOWN, "space", "lvmsnap", "bare script", 1.4, 1.25),
    Goal(UP_DOWN, "space", "lvmsnap", "bare script, unmonitored", None),
    Goal("`run -- true`, the same work", "space", "lvmsnap run", "bare script", 1.25, 1.15),
    Goal(UP_DOWN, "space", "lvmsnap", "snapm", 0.40, 0.35),
    Goal(UP_DOWN, "space", "lvmsnap", "borgmatic", 0.60, 0.55),
    Goal(FILE, "file", "lvmsnap", "bare script", 1.2),
    Goal(FILE, "old-manner", "lvmsnap", "old script", 0.5),
    Goal("`up` up to its first LVM command", "start", "up", "`python -c pass`", 3.0),
    Goal("`down` up to its first LVM command", "start", "down", "`python -c pass`", 3.0),
    Goal("`validate` of 1,000 profiles by name", "validate", "by name", "by path", 1.2),
    Goal("longest stall of a writer on the origin", "stall", "up", "`lvcreate`", 1.05),
    Goal(WRITES, "writes", "file", "plain PV", 0.9, at_least=True, unit="MiB/s"),
    Goal(CROWD, "plan", "plan", "`lvs`, 1,000 volumes", 1.5, less=("plan alone", "lvs alone")),
    Goal(CROWD, "plan", "plan", "`lvs` too", None, less=("plan alone", "lvs alone")),
)
