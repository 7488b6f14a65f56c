"""Devices that are reached through a shell: the host's end of what runs there."""
