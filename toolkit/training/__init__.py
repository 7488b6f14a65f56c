"""Training: fit the user's model on the user's data, and resume an interrupted run."""
