"""What a retriever may be asked by: what was had before, what is said, and who asks."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import Sequences


@dataclasses.dataclass(frozen=True)
class Requests:
    """Requests for candidates, one a row; a retriever reads what it knows to use and refuses to do without.

    Attributes:
      histories: items that each had before, oldest first; None where nothing is known of them.
      texts: what each says it looks for; None where nothing is said.
      users: who each is, for retrievers that keep something of their users; None where nobody is known.

    Raises:
      ValueError: there are neither histories nor texts, or not as many of one as of the other.
    """

    histories: Sequences | None = None
    texts: Sequence[str] | None = None
    users: Int[np.ndarray, 'requests'] | None = None

    def __post_init__(self):
        if self.histories is None and self.texts is None:
            raise ValueError('requests need histories or texts to retrieve by')
        lengths = {name: len(value) for name, value in self._given().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'requests must have as many of each, not {lengths}')

    def __len__(self) -> int:
        return len(next(iter(self._given().values())))

    def the_histories(self, asked_by: str) -> Sequences:
        """The histories.

        Raises:
          ValueError: naming `asked_by`, when there are none.
        """
        if self.histories is None:
            raise ValueError(f'{asked_by} goes by histories, and these requests have texts alone')
        return self.histories

    def the_texts(self, asked_by: str) -> Sequence[str]:
        """The texts.

        Raises:
          ValueError: naming `asked_by`, when there are none.
        """
        if self.texts is None:
            raise ValueError(
                f'{asked_by} goes by texts, and these requests have histories alone: wrap it in '
                'HistoryAsText, which asks by the texts of the items had'
            )
        return self.texts

    def batches(self, size: int) -> Iterator['Requests']:
        """Consecutive parts of at most `size` requests."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield Requests(
                None if self.histories is None else self.histories.rows(start, start + size),
                None if self.texts is None else self.texts[rows],
                None if self.users is None else self.users[rows],
            )

    def _given(self) -> dict[str, Sequences | Sequence[str] | Int[np.ndarray, 'requests']]:
        every = {'histories': self.histories, 'texts': self.texts, 'users': self.users}
        return {name: value for name, value in every.items() if value is not None}
