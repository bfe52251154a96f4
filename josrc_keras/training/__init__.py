"""What the `train_step` of a method is made of, on either backend."""
