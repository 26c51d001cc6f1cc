"""The Debian package on machines of the lab."""
