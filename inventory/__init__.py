"""One module per source of devices."""
