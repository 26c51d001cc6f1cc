"""Walks a plan: what changes the system, what is recorded about it, and the locks."""
