"""Recommenders that learn nothing but counts: what every trained system must beat."""
