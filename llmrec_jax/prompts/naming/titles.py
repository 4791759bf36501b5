"""Items called by their titles."""

import dataclasses
from typing import ClassVar

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.naming.scheme import distinct
from llmrec_jax.prompts.records.words import cut_texts, one_line


@dataclasses.dataclass(frozen=True)
class TitleNames:
    """Titles, with a number behind those that come again.

    Attributes:
      max_characters: more are cut off.
      untitled: what items without a title are called.
    """

    max_characters: int = 80
    untitled: str = 'Untitled item'
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`.

        Raises:
          ValueError: when no item has a title.
        """
        titles = [one_line(title) for title in corpus.items.title]
        if not any(titles):
            raise ValueError(f'{corpus.name}: no item has a title, so items need another naming scheme')
        cut = cut_texts(titles, self.max_characters, f'{corpus.name}: titles as names', corpus.items.item_id)
        return distinct([title or self.untitled for title in cut])
