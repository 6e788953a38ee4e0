"""What is measured beside ours: the limits."""
