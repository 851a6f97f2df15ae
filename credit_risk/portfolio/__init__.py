"""Files of applications: read, decided as a table, and written."""
