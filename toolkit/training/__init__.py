"""Training: fit the user's model on the user's data, and go on where a run was cut off."""
