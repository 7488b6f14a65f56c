"""What runs on a device beside the runner: files of Python 3.9 that import nothing of edgekit.

They reach the device with every connection, as one package, and leave nothing there. The host uses
them too, where it is the device.
"""
