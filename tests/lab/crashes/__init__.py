"""Failing commands, kills, power cuts."""
