"""One module per platform: translators between a device's words and our values."""
