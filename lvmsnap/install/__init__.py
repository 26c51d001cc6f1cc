"""Installs lvmsnap's part of the boot and the timers of profiles."""
