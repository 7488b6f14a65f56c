"""The ways to reach a device: one file each, named like the scheme of its addresses.

``ssh.py`` holds ``SCHEME``, a :class:`edgekit.targets.devices.scheme.Scheme`, and is what
``ssh://…`` names. A file that is put here is found; nothing else lists it.
"""
