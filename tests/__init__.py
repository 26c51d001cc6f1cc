"""The tests of lvmsnap: fast ones here, those that need real LVM marked `lab`."""
