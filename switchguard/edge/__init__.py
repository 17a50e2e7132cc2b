"""The outside world; each file hides one library."""
