"""Smaller models: TFMOT's schemes for both Keras generations, and channels that really go."""
