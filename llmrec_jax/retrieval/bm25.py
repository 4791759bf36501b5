"""BM25 over item texts: retrieval by the words that a request and an item share.

`HistoryAsText` asks it for those who said nothing: by the texts of what they had.
"""

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from llmrec_jax.retrieval.retriever import ABSENT, Requests, Retriever, SearchResult, check_k

WORD = re.compile(r'\w+')
# Scores of a batch of requests stand in memory together, at most so many.
_SCORES_AT_ONCE = 4_000_000


@dataclasses.dataclass(frozen=True)
class Bm25Settings:
    """How term frequency and length count (Robertson and Zaragoza 2009, section 3.4).

    Attributes:
      k1: how slowly repeated words saturate; 0 counts a word once.
      b: how much long texts are held back, from 0 (not at all) to 1 (in proportion).

    Raises:
      ValueError: when one lies outside its range.
    """

    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self):
        if not 0 <= self.k1 < np.inf:
            raise ValueError(f'Bm25Settings.k1={self.k1} must be at least 0')
        if not 0 <= self.b <= 1:
            raise ValueError(f'Bm25Settings.b={self.b} must lie in 0..1')


DEFAULT_SETTINGS = Bm25Settings()


class BM25:
    """A `Retriever` that goes by texts; an item that shares no word with a request is not found.

    `score(q, d)` is the sum over the words w of q, repeats counted, of
    `log(1 + (N - n_w + 1/2) / (n_w + 1/2)) * f_wd / (f_wd + k1 * (1 - b + b * |d| / mean |d|))`,
    with `n_w` the items whose text holds w and `f_wd` how often d's does: Robertson's weights in the form
    that Lucene computes, where no word counts against an item. The weights of all pairs of word and
    item are kept, so that a search is a sparse product.
    """

    def __init__(self, texts: Sequence[str], *, settings: Bm25Settings = DEFAULT_SETTINGS):
        """Counts.

        Args:
          texts: one an item; an item whose text has no word is never found.
          settings: the two constants.

        Raises:
          ValueError: when no text holds a word.
        """
        counts = [Counter(words(text)) for text in texts]
        vocabulary = sorted(set().union(*counts))
        if not vocabulary:
            raise ValueError(f'none of the {len(texts)} item texts holds a word to retrieve by')
        self._column = {word: column for column, word in enumerate(vocabulary)}
        frequencies = self._counted(counts)
        lengths = np.asarray(frequencies.sum(axis=1), np.float64).ravel()
        held = np.bincount(frequencies.indices, minlength=len(vocabulary))
        rarity = np.log1p((len(texts) - held + 0.5) / (held + 0.5))
        longer = settings.k1 * (1 - settings.b + settings.b * lengths / lengths.mean())
        of_item = np.repeat(np.arange(len(texts)), np.diff(frequencies.indptr))
        frequencies.data *= rarity[frequencies.indices] / (frequencies.data + longer[of_item])
        self._weights = sp.csr_array(frequencies.T)
        self._n_items = len(texts)

    @property
    def n_items(self) -> int:
        """See `Retriever.n_items`."""
        return self._n_items

    def scores(self, texts: Sequence[str]) -> Float[np.ndarray, 'texts items']:
        """The score of every item; 0 where it shares no word with the text."""
        return self._scores(texts).toarray()

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """See `Retriever.retrieve`; of equal scores the lowest item index comes first."""
        check_k(k, self.n_items)
        requests.the_texts('BM25')
        if remove_seen:
            requests.the_histories('removing what was seen')
        items = np.full((len(requests), k), ABSENT, np.int64)
        scores = np.full((len(requests), k), -np.inf, np.float64)
        start = 0
        for batch in requests.batches(max(1, _SCORES_AT_ONCE // self.n_items)):
            found = self._scores(batch.texts)
            for row in range(len(batch)):
                stored = slice(found.indptr[row], found.indptr[row + 1])
                sharing, score = found.indices[stored], found.data[stored]
                if remove_seen:
                    unseen = ~np.isin(sharing, batch.histories[row])
                    sharing, score = sharing[unseen], score[unseen]
                best = _best(sharing, score, k)
                items[start + row, : len(best)] = sharing[best]
                scores[start + row, : len(best)] = score[best]
            start += len(batch)
        return SearchResult(items, scores)

    def _scores(self, texts: Sequence[str]) -> sp.csr_array:
        """[texts, items], with an entry where they share a word."""
        return self._counted([Counter(words(text)) for text in texts]) @ self._weights

    def _counted(self, counts: Sequence[Counter]) -> sp.csr_array:
        """[texts, words]: how often each known word occurs."""
        known = [
            [(self._column[word], count) for word, count in counted.items() if word in self._column]
            for counted in counts
        ]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in known])]).astype(np.int64)
        pairs = np.array([pair for row in known for pair in row], np.int64).reshape(-1, 2)
        shape = (len(counts), len(self._column))
        return sp.csr_array((pairs[:, 1].astype(np.float64), pairs[:, 0], offsets), shape=shape)


def words(text: str) -> list[str]:
    """The words of a text, in lower case and without accents; sizes, doses and models are words too."""
    plain = unicodedata.normalize('NFKD', text.casefold())
    return WORD.findall(''.join(char for char in plain if not unicodedata.combining(char)))


def _best(
    items: Int[np.ndarray, 'found'], scores: Float[np.ndarray, 'found'], k: int
) -> Int[np.ndarray, 'at_most_k']:
    """Positions of the `k` best, descending, equal ones in the order of the items."""
    chosen = np.arange(len(items))
    if len(items) > k:
        # Sorting all that share a word takes most of the time where one word is in every text.
        chosen = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
    return chosen[np.lexsort((items[chosen], -scores[chosen]))[:k]]


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
