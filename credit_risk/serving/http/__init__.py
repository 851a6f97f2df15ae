"""The ASGI layers around the endpoints."""
