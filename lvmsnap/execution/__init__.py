"""Walks a plan: what changes the system, what is written down of it, and who waits for whom."""
