"""Where lvmsnap keeps what it must remember, and what lasts for one boot only."""

from __future__ import annotations

STATE_DIR = "/var/lib/lvmsnap"
RUN_DIR = "/run/lvmsnap"
RUN_DIR_MODE = 0o700  # mountpoints are below it
