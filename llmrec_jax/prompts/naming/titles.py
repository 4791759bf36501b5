"""Items called by their titles, or by titles that can stand in a list, between quotes."""

import dataclasses
import unicodedata
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


# What ends a title in a prompt or an answer, and what stands for it inside one.
_MARKS = str.maketrans({'"': "'", '|': '/'})


@dataclasses.dataclass(frozen=True)
class ListedTitles:
    """Titles without the marks of a list, with a number behind those that come again.

    Attributes:
      titles: how long they are, and what items without one are called.
    """

    titles: TitleNames = dataclasses.field(default_factory=lambda: TitleNames(max_characters=60))
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `naming.scheme.ItemNaming`.

        Raises:
          ValueError: when no item has a title.
        """
        names = self.titles.item_names(corpus, train)
        # As vocabularies normalize text, so that no two names become one when they are read back.
        return distinct([unicodedata.normalize('NFKC', name).translate(_MARKS).strip() for name in names])
