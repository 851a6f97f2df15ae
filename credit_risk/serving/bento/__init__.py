"""Everything that leans on the inside of BentoML, circus and uvicorn. No other module may."""
