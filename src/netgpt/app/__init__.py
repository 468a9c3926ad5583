"""The gateway: settings in, running parts out. `gateway.open_gateway` puts them together."""
