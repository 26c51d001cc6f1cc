"""lvmsnap: LVM snapshots for backups from named profiles."""

__version__ = "0.1.0"
