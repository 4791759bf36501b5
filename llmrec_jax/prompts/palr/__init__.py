"""PALR (Yang et al., 2023): a language model writes a list of titles, with candidates to choose from or not.

| module | holds |
|---|---|
| `forms` | the two instructions, and what fills them |
| `windows` | histories and the items that follow, from training histories; hard negatives |
| `answers` | reading a written list back, and filling it up |
| `profile_text` | asking a language model for a user's keywords, reading its reply, and judging it |
| `profiles` | profiles on disk |
| `data` | all of it over one corpus |
"""
