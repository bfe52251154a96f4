"""Classes of new photos, by a finished run or an exported classifier."""
