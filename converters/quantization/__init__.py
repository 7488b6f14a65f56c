"""From a float ``.tflite`` file to a quantized one: calibration, recipes, recovery."""
