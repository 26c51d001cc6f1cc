"""What a boot repairs."""
