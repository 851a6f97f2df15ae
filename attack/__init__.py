"""Attacks on a running decision service, and what held. It knows the service over HTTP, its processes and its log."""
