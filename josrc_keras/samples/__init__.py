"""What training remembers of each sample."""
