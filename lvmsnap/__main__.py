"""`python -m lvmsnap`."""

from lvmsnap.cli.parser import main

if __name__ == "__main__":
    raise SystemExit(main())
