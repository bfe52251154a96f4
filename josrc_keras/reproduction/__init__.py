"""The paper's tables and figures: what to run, what was found, how it is shown."""
