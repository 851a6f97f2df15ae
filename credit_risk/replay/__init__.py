"""Decisions on record, made again: what differs, and what another model or policy would have decided."""
