"""Items of which the source says nothing: kept as they are, dropped with their events, or given a name.

Systems that read items' text cannot use an item without any; systems that know items by their ids can.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from llmrec_jax.corpora.source import one_of

KEPT, DROPPED, NAMED = 'kept', 'dropped', 'named'
RULES = (KEPT, DROPPED, NAMED)
# What an item is called where a source's `items_without_text` is 'named'.
NAME = 'Item {item_id}'


def checked_rule(source: str, rule: str, name: str) -> None:
    """Raises a ValueError that names the field of `source`, unless rule and name can be used."""
    one_of(f'{source}.items_without_text', rule, RULES)
    try:
        named = name.format(item_id='0').strip()
    except (KeyError, IndexError, ValueError, AttributeError):
        named = ''
    if not named:
        raise ValueError(
            f'{source}.name_without_text is {name!r}; expected a name, in which {{item_id}} stands for the '
            f"item's own id, e.g. {NAME!r}"
        )


def without_text(
    titles: Sequence[str],
    brands: Sequence[str],
    categories: Sequence[tuple[str, ...]],
    descriptions: Sequence[str],
) -> Bool[np.ndarray, 'items']:
    """Which items have neither title nor brand, category or description."""
    rows = zip(titles, brands, categories, descriptions)
    return np.fromiter(
        (not (title or brand or any(names) or text) for title, brand, names, text in rows), bool, len(titles)
    )


def told(rule: str, found: int, events_dropped: int, users_dropped: int) -> Mapping[str, Any]:
    """What the provenance says: how many items had no text, and what became of them and their events."""
    facts = {'items_without_text': found, 'items_without_text_rule': rule}
    if rule == DROPPED:
        facts['events_of_items_without_text'] = events_dropped
        facts['users_of_items_without_text'] = users_dropped
    return facts
