"""The commands `josrc-*`: their flags, and one clear line on bad input."""
