#!/bin/sh
# Sourced by dracut's init queue.
/lib/lvmsnap/repair-groups
