"""Texts of the pages that reproductions write."""

from importlib import resources


def read(name):
    """The text of a template, without the newline at its end."""
    return (resources.files(__name__) / name).read_text(encoding="utf-8").rstrip("\n")
