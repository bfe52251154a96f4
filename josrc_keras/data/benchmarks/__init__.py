"""Datasets whose label noise is known, read or made."""
