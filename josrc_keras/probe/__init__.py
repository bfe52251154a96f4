"""Audits with a frozen backbone: features of photos once, then a head on them."""
