"""The page where a client reads what stands against it."""
