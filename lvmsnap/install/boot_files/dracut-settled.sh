#!/bin/sh
# Sourced by dracut's init queue.
@LIBRARY@/lvmsnap-repair-groups
