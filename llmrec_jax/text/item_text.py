"""One text an item, for encoders: what the catalogue says of it, in a fixed form.

Texts that lack some of their words are a second view of an item (UniSRec, section 2.2.2).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from llmrec_jax.corpora.corpus import Items

# What TIGER describes an item by (section 3.1: title, price, brand, category), and the description.
FIELDS = ('title', 'price', 'brand', 'categories', 'description')
MAX_DESCRIPTION_WORDS = 100


def item_sentences(
    items: Items,
    fields: Sequence[str] = FIELDS,
    *,
    max_description_words: int = MAX_DESCRIPTION_WORDS,
    without_text: str | None = None,
) -> list[str]:
    """Describes each item by its fields, in the order given, leaving out those that are unknown.

    With every field: 'Red Shatter. Price: 8.99. Brand: OPI. Categories: Beauty, Nails. Cracks as it dries.'
    White space is brought to single blanks, a full stop ends each part, and a description is cut after
    `max_description_words` words.

    Args:
      items: the catalogue.
      fields: which to name, of `FIELDS`.
      max_description_words: words kept of a description.
      without_text: the sentence of an item of which no field is known; None to refuse such an item.

    Raises:
      ValueError: a field is none of `FIELDS`, or nothing is known of an item and `without_text` is None.
    """
    unknown = [field for field in fields if field not in FIELDS]
    if unknown or not fields:
        raise ValueError(f'fields {tuple(fields)!r}: choose at least one of {FIELDS}')
    parts: dict[str, Callable[[int], str]] = {
        'title': lambda row: _sentence('', items.title[row]),
        'price': lambda row: _price(float(items.price[row])),
        'brand': lambda row: _sentence('Brand: ', items.brand[row]),
        'categories': lambda row: _sentence('Categories: ', ', '.join(filter(None, items.categories[row]))),
        'description': lambda row: _sentence('', _first_words(items.description[row], max_description_words)),
    }
    sentences = [' '.join(filter(None, (parts[field](row) for field in fields))) for row in range(len(items))]
    silent = [row for row, sentence in enumerate(sentences) if not sentence]
    if silent and without_text is None:
        others = [field for field in FIELDS if field not in fields and any(map(parts[field], silent))]
        mend = [f'name {" or ".join(others)} in item_fields too'] if others else []
        if not all(any(parts[field](row) for field in others) for row in silent):
            mend.append(
                "set items_without_text of the corpus's source (ITEMS_WITHOUT_TEXT in recipes) to 'named' or "
                "'dropped'"
            )
        raise ValueError(
            f'{len(silent)} of {len(items)} items have none of {", ".join(fields)}, the first is item '
            f'{silent[0]} ({items.item_id[silent[0]]!r}); {"; ".join(mend)}'
        )
    return [sentence or without_text for sentence in sentences]


def _sentence(label: str, text: str) -> str:
    words = ' '.join(text.split())
    if not words:
        return ''
    return f'{label}{words}' if words[-1] in '.!?' else f'{label}{words}.'


def _price(price: float) -> str:
    return '' if math.isnan(price) else f'Price: {price:.2f}.'


def _first_words(text: str, limit: int) -> str:
    return ' '.join(text.split()[:limit])


def drop_words(texts: Sequence[str], probability: float, seed: int) -> list[str]:
    """Takes each word out with `probability`; a text that would lose all its letters and digits stays
    whole.

    Args:
      texts: words are what white space parts.
      probability: of dropping a word.
      seed: of the draws.

    Raises:
      ValueError: when the probability is outside [0, 1).
    """
    if not 0 <= probability < 1:
        raise ValueError(f'words cannot be dropped with probability {probability}: it must lie in [0, 1)')
    rng = np.random.default_rng(seed)
    found = []
    for text in texts:
        words = text.split()
        kept = rng.random(len(words)) >= probability
        left = ' '.join(word for word, stays in zip(words, kept) if stays)
        found.append(left if any(map(str.isalnum, left)) else text)
    return found
