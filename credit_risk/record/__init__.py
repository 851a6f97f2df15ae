"""The decision log: how records are written to files or a stream, and how they are read back."""
