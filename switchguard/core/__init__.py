"""Decisions: pure functions over immutable values. No clock, no I/O, no logging."""
