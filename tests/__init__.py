"""The tests mirror the tree; `oracle` and `tiny` are what they share."""
