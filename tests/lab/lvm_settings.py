"""Run in a guest: reads LVM's report under every setting of report/ and log/ that LVM has, and prints what changed it.

`python -m tests.lab.lvm_settings together|each`. LVM_SYSTEM_DIR names a directory of our own, whose lvm.conf has all
of them or one at a time.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lvmsnap.model.errors import ToolError
from lvmsnap.system import lvm_report
from lvmsnap.system.processes import Runner

# Beside these two sections: how sizes are written, and whether a locked group is left out.
ALSO = {"global/units": '"h"', "global/suffix": "1", "global/si_unit_consistency": "0", "global/wait_for_locks": "0"}
TELLING = {
    "log/verbose": "7",
    "log/level": "7",
    "log/file": '"/run/lvm.log"',
    "report/compact_output_cols": '"lv_tags,vg_exported,pv_missing"',
    "report/time_format": '"%s"',
}


def values(runner: Runner) -> dict[str, str]:
    """Return every setting of both sections with a value that is not its default (lvmconfig(8))."""
    listed = runner.read(("lvm", "lvmconfig", "--typeconfig", "list")).stdout.split()
    found = {name: '"#"' for name in listed if name.startswith(("report/", "log/"))}
    section = ""
    for line in runner.read(("lvm", "lvmconfig", "--typeconfig", "default", "report", "log")).stdout.splitlines():
        if match := re.match(r"#? ?(\w+) \{", line):
            section = match[1]
        elif match := re.match(r"[\s#]*(\w+)=(\[?)(\d*)", line):
            found[f"{section}/{match[1]}"] = '["x"]' if match[2] else str(1 - int(match[3])) if match[3] else '"#"'
    return {**found, **TELLING, **ALSO}


def confs(tried: dict[str, str]) -> dict[str, str]:
    """Return the files to try, as the command line says; by a name for each."""
    lines = {f"{name}={value}": f"{name}={value}\n" for name, value in tried.items()}
    return lines if sys.argv[1] == "each" else {"all of them": "".join(lines.values())}


def main() -> None:
    """Print each setting that changed the report, then how many were tried."""
    runner = Runner()
    conf = Path(os.environ["LVM_SYSTEM_DIR"], "lvm.conf")
    conf.write_text("")
    tried = values(runner)
    wanted = lvm_report.read_report(runner, locking=True)
    assert wanted[0][0].lvs, wanted
    for name, text in confs(tried).items():
        conf.write_text(text)
        try:
            told = "" if lvm_report.read_report(runner, locking=True) == wanted else "another report"
        except ToolError as error:
            told = error.message
        if told:
            print(f"{name}: {told}")
    print(f"tried {len(tried)}")


if __name__ == "__main__":
    main()
