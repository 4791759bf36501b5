"""PALR (Yang et al., 2023): a language model writes a list of titles, with candidates to choose from or not.

| module | holds |
|---|---|
| `answers` | reading a written list back, and filling it up |
"""
