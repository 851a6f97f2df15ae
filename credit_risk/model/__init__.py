"""From data to a scorer: the first floor, which knows nothing of requests."""
