"""Keras models in every file kind: identified, checked, loaded, and exported as SavedModels."""
