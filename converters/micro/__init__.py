"""Microcontrollers and NPUs: C arrays, operator resolvers, Ethos-U and Edge TPU compilers."""
