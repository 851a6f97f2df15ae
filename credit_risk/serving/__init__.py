"""Requests: the second floor, between HTTP and the model."""
