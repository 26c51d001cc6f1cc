"""Up, down, plan and status on real LVM."""
