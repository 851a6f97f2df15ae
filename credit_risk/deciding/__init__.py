"""From applications to decisions on record. This room knows neither HTTP nor BentoML."""
