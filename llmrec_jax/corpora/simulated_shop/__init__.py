"""A shop simulated from a seed, whose next-item distribution is known."""
