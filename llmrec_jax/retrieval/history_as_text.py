"""Asking by text for those who said nothing: by the texts of what they had."""

import dataclasses
from collections.abc import Sequence

from llmrec_jax.retrieval.retriever import Requests, Retriever, SearchResult


@dataclasses.dataclass(frozen=True, eq=False)
class HistoryAsText:
    """A `Retriever` that goes by histories, made of one that goes by texts.

    Attributes:
      retriever: goes by texts, e.g. BM25 over the same items.
      item_texts: the text of each item.
      last_items: how many items are asked by, the last ones of a history.

    Raises:
      ValueError: when `last_items` is below 1.
    """

    retriever: Retriever
    item_texts: Sequence[str]
    last_items: int = 1

    def __post_init__(self):
        if self.last_items < 1:
            raise ValueError(f'HistoryAsText.last_items={self.last_items} must be at least 1')

    @property
    def n_items(self) -> int:
        """See `Retriever.n_items`."""
        return self.retriever.n_items

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """See `Retriever.retrieve`; what the requests say themselves is not read.

        Raises:
          ValueError: further, when a history is empty or names an item without a text.
        """
        histories = requests.the_histories('HistoryAsText')
        texts = []
        for row in range(len(histories)):
            items = histories[row][-self.last_items :]
            if not len(items):
                raise ValueError(f'the history in row {row} is empty: there is no text to ask by')
            if items.min() < 0 or items.max() >= len(self.item_texts):
                raise ValueError(
                    f'the history in row {row} names an item beyond the {len(self.item_texts)} item texts'
                )
            texts.append(' '.join(self.item_texts[item] for item in items))
        asked = Requests(histories, texts, requests.users)
        return self.retriever.retrieve(asked, k, remove_seen=remove_seen)
