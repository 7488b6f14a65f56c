"""Model formats in and out: SavedModel to .tflite at each precision, and reading files back."""
