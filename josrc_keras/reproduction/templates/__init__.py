"""Texts of the pages that `josrc-reproduce` writes."""

from importlib import resources


def read(name):
    """The text of a template, without the newline at its end."""
    return (resources.files(__name__) / name).read_text(encoding="utf-8").rstrip("\n")
