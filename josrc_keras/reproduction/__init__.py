"""The paper's tables and figures: the runs, their records, and the pages of results."""
