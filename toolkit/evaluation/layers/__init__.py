"""Parity inside a network: tensors of two models matched by graph, and where they part."""
