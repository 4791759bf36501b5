"""The kinds of answer that prompts ask for, one class each: how it is predicted, judged, guessed and called.

| class | name | an answer is |
|---|---|---|
| `words.Stars` | `stars` | a rating |
| `words.YesNo`, `words.Like` | `yes_no`, `like` | one of two words |
| `words.Sentence` | `sentence` | a text |
| `items.Item` | `item` | items of the whole catalogue, best first |
| `items.ItemOfCandidates` | `item_of_candidates` | items out of a case's candidates |
| `items.YesNoRanking` | `yes_no_ranking` | 'yes' or 'no' to each candidate, which ranks them |
| `items.ItemList` | `item_list` | a written list of quoted names |

A task's `task.json` has the name; `all_kinds.answer_kind` gives the class.
"""
