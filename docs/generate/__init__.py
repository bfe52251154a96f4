"""What of the site is written from the code: commands, configuration, docstrings."""
