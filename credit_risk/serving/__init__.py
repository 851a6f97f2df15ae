"""From HTTP requests to decisions and back."""
