"""What microcontrollers and NPUs take: C source of a model, and files compiled for an NPU."""
