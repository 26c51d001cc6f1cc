"""Others at work at the same time: hosts, commands, people."""
