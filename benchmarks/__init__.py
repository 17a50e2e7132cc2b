"""What switchguard costs beside what the machine, the kernel or another tool needs for the same work."""
