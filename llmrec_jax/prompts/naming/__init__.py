"""Items and users as words, under interchangeable schemes.

| scheme | items | leaks |
|---|---|---|
| `numbers.SequentialNumbers` | by first appearance in the whole histories, as published | yes |
| `numbers.TrainingNumbers` | by first appearance in the training histories, the others shuffled | no |
| `numbers.RandomNumbers` | a random permutation | no |
| `collaborative.CollaborativeNames` | paths in a tree of clusters of the training graph | no |
| `numbers.CodeNames` | semantic IDs | no, if their codes know no test event |
| `titles.TitleNames`, `titles.ListedTitles` | titles, the latter between quotes | no |

`evaluation.id_leak` measures what a scheme gives away.
"""
