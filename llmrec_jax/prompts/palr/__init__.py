"""PALR (Yang et al., 2023): a language model writes a list of titles, with candidates to choose from or not.

| module | holds |
|---|---|
| `templates` | the two instructions |
| `forms` | what fills them |
| `windows` | histories and the items that follow, from training histories |
| `affinity` | items that short histories are lengthened by |
| `hard_negatives` | candidates that are hard to tell from the right ones |
| `titles` | item names that can be quoted and listed |
| `answers` | reading a written list back, and filling it up |
| `profile_prompt` | what a language model is asked for a user's keywords |
| `profile_reply` | reading its reply, and holding it to the history |
| `profile_relation` | whether keywords are about their user |
| `profiles` | profiles on disk |
| `data` | all of it over one corpus |
"""
