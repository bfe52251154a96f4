"""The adaptive method: each label is trusted as far as its history bears it out."""
