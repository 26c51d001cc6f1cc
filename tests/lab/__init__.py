"""The test lab: a throw-away Linux machine (user-mode Linux) with real LVM, for tests and for a look around."""
