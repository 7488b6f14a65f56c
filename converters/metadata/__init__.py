"""TFLite Metadata: normalisation, labels, names and descriptions inside a ``.tflite`` file."""
