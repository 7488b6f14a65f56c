"""What a ``.tflite`` file holds: operators, precision, weights, memory, and what is wrong."""
