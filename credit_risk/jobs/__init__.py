"""Jobs: files of applications that are decided in the background, by workers that may die without losing any."""
