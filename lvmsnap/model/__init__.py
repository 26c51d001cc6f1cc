"""Frozen types, no behaviour: profile, facts, target, plan, errors, names, units, paths."""
