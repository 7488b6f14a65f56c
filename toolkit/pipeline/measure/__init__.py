"""Measuring models as they are: evaluate, compare and bench, on any device."""
