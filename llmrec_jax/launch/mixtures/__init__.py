"""Evaluation mixtures: every task of a mixture answered by one checkpoint, judged, and set beside its floors."""
