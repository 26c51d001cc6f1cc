"""What a person asks for, one module for each thing."""
