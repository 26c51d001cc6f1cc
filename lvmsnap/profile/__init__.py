"""YAML text to a Profile, or every mistake at once."""
