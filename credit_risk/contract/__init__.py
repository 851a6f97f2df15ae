"""What comes in and what goes out. This is the ground floor: it imports nothing of the project above it."""
