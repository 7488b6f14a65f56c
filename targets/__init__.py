"""Everything that knows a device: the catalog, transports, runners and bundle layouts."""
