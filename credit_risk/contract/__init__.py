"""What comes in and what goes out: the ground floor, which imports nothing of the project above it."""
