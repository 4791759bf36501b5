"""Recipes that learn on some domains and recommend in another (UniSRec, VQ-Rec, ZESRec)."""
