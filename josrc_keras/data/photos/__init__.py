"""A folder of photos, which is listed, checked, and decoded once."""
