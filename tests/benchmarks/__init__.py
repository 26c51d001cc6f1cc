"""The benchmark, `./tests/bench`: lvmsnap beside the bare commands and beside other programs, on the same work."""
