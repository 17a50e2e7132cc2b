"""switchguard: tables in, plan out; everything else is plumbing."""
