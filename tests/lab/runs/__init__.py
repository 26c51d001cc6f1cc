"""Runs, the guard, hooks, timers, recipes."""
