"""A folder of photos: listed, checked, decoded once."""
