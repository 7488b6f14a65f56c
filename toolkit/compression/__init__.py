"""Compress models: TFMOT's schemes for both Keras generations, and channel pruning."""
