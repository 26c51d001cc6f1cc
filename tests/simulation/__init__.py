"""A simulated system with real-life faults and other actors, and lvmsnap at work on it."""
