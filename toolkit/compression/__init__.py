"""Smaller models by TFMOT's schemes; Keras 3 models cross to tf_keras, proven equal."""
