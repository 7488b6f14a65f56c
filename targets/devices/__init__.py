"""How to reach a device: this host first."""
