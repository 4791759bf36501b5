"""Profiles of users: keywords that a language model reads off their histories, and that are held to them."""
