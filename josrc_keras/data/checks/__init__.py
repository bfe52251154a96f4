"""What training data must look like, and the errors where it does not."""
