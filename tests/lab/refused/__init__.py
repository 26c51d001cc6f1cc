"""What is refused, and what is never touched."""
