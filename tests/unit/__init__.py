"""Fast tests: what needs nothing but Python, in the folders of lvmsnap/."""
