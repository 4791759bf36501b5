"""What recommendations are shown with: ids, titles and categories, readable without TensorFlow."""

import dataclasses
import json
import pathlib

from llmrec_jax import files
from llmrec_jax.corpora.corpus import Items
from llmrec_jax.corpora.raw_files import numbered_lines


@dataclasses.dataclass(frozen=True)
class ShownItems:
    """The catalogue in columns; row `i` is item `i`."""

    item_id: list[str]
    title: list[str]
    categories: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.item_id)

    @classmethod
    def of(cls, items: Items) -> 'ShownItems':
        """What of a corpus's items is shown."""
        return cls(list(items.item_id), list(items.title), [tuple(path) for path in items.categories])


def save_catalogue(items: ShownItems, path: pathlib.Path) -> None:
    """Writes one JSON line an item, whole or not at all."""
    with files.text_written_whole(path) as file:
        for item_id, title, categories in zip(items.item_id, items.title, items.categories, strict=True):
            line = {'item_id': item_id, 'title': title, 'categories': list(categories)}
            file.write(json.dumps(line, ensure_ascii=False) + '\n')


def load_catalogue(path: pathlib.Path) -> ShownItems:
    """Reads what `save_catalogue` wrote.

    Raises:
      FileNotFoundError: when it is not there.
      ValueError: naming the line that is damaged.
    """
    columns: tuple[list, list, list] = ([], [], [])
    for number, line in numbered_lines(path):
        try:
            item = json.loads(line)
            row = (item['item_id'], item['title'], tuple(item['categories']))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path}, line {number}: not an item ({error}); delete it and run the corpus stage again'
            ) from error
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return ShownItems(*columns)
