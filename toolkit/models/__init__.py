"""Keras models in every file kind: told apart, checked, loaded, and exported as SavedModels."""
