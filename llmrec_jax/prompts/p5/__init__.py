"""P5 (Geng et al., 2022): five families of recommendation tasks as prompts, and zero-shot transfer.

The wordings are ours. Each published template's inputs and target are covered by the template of the same id.
A family is its templates, and the forms that fill them; see `groups`. One template more is one entry more.

| field | is |
|---|---|
| `user`, `item` | the names under the naming scheme, e.g. 'user_23', 'item_7391' |
| `user_name` | what else the user is called; see `records.tables` |
| `title`, `brand`, `price` | the item's |
| `stars` | the rating as the target of a question: one decimal, with noise in training |
| `whole_stars` | the rating as given |
| `asked_stars`, `yes_no` | a rating that may be another one, and whether it is the one given |
| `like` | 'like' or 'dislike' |
| `history`, `candidates` | lists of items |
| `headline`, `review` | the review's |
| `explanation`, `feature_word` | a sentence of the review and the aspect that it speaks of |
"""
