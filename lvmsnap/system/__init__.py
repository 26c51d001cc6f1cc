"""Reads this machine and starts processes."""
