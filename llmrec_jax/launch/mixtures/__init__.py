"""Evaluation mixtures: one checkpoint answers every task; the answers are judged and set beside floors."""
