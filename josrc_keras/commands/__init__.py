"""The commands `josrc-*`: flags, and one clear line on bad input."""
