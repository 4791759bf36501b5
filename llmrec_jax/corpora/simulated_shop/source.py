"""The simulated shop as a corpus source."""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora import citations
from llmrec_jax.corpora.corpus import Corpus, Events, Users
from llmrec_jax.corpora.simulated_shop.behaviour import Behaviour, shop_size
from llmrec_jax.corpora.simulated_shop.catalogue import ShopCatalogue, Taste, draw_catalogue, draw_taste
from llmrec_jax.corpora.simulated_shop.histories import draw_histories, draw_lengths
from llmrec_jax.corpora.simulated_shop.law import NextItemLaw, draw_law
from llmrec_jax.corpora.simulated_shop.reviews import Reviewer, draw_ratings
from llmrec_jax.corpora.simulated_shop.text import describe
from llmrec_jax.corpora.source import About

# Each part of the shop draws from a stream of its own, so that a change in one leaves the others as they are.
_STREAMS = (
    'catalogue',
    'taste',
    'law',
    'text',
    'types',
    'lengths',
    'histories',
    'times',
    'ratings',
    'reviews',
    'users',
)

_OPENING_TIME = 1_451_606_400  # 2016-01-01
_YEARS = 5 * 365 * 86_400
_MEAN_GAP = 21 * 86_400
_SHORTEST_GAP = 3_600


class PlantedTruth(NamedTuple):
    """What the shop was made from."""

    catalogue: ShopCatalogue
    taste: Taste
    law: NextItemLaw


@dataclasses.dataclass(frozen=True)
class SimulatedShop:
    """A shop simulated from a seed, with a known next-item distribution.

    Ratings and reviews come from the latent taste, and the law's predictive distribution conditions on the
    bought items alone: a system that reads ratings or reviews of the history may learn a little more about
    the taste than the ceiling knows. User profiles are empty, since any true word in one would do the same.

    Attributes:
      size: one of `behaviour.SIZES`.
      seed: all randomness comes from it.
      behaviour: what drives a purchase.
      version: raised whenever the same seed would give another corpus, so that what an older generator made
        is not taken for this one's.
    """

    size: str = 'quickstart'
    seed: int = 0
    behaviour: Behaviour = dataclasses.field(default_factory=Behaviour)
    version: int = dataclasses.field(default=1, init=False)
    about: ClassVar[About] = citations.SIMULATED_SHOP

    def __post_init__(self):
        shop_size(self.size)
        if self.seed < 0:
            raise ValueError(f'simulated_shop: the seed must not be negative, but is {self.seed}')

    @property
    def name(self) -> str:
        """E.g. 'simulated_shop/quickstart'."""
        return f'simulated_shop/{self.size}'

    def planted_truth(self) -> PlantedTruth:
        """ShopCatalogue, taste and law, without drawing any history."""
        catalogue = draw_catalogue(shop_size(self.size), self.behaviour, self._rng('catalogue'))
        taste = draw_taste(catalogue, self.behaviour.taste_types, self._rng('taste'))
        return PlantedTruth(catalogue, taste, draw_law(catalogue, taste, self.behaviour, self._rng('law')))

    def law(self) -> NextItemLaw:
        """The next-item law that `build` draws from, in the corpus's item indices."""
        return self.planted_truth().law

    def user_types(self) -> Int[np.ndarray, 'users']:
        """The latent taste type of each of the corpus's users."""
        return self._draw_types(self.planted_truth().taste)

    def build(self) -> Corpus:
        """Generates the corpus; the same fields give the same corpus, in any process."""
        catalogue, taste, law = self.planted_truth()
        size = catalogue.size
        types = self._draw_types(taste)
        lengths = draw_lengths(size, self._rng('lengths'))
        bought = draw_histories(law, types, lengths, self._rng('histories'))
        inside = bought >= 0
        position = bought[inside].astype(np.int64)
        user = np.repeat(np.arange(size.users), lengths)
        stars = draw_ratings(taste, types, user, position, self._rng('ratings'))
        summaries, reviews = [], []
        for summary, review in Reviewer(catalogue, taste).write(
            types[user], position, stars, self._rng('reviews')
        ):
            summaries.append(summary)
            reviews.append(review)
        serial = self._rng('users').choice(10 * size.users, size=size.users, replace=False)
        return Corpus(
            name=self.name,
            items=describe(catalogue, self._rng('text')),
            users=Users([f'U{number:08d}' for number in serial.tolist()], [''] * size.users),
            events=Events(
                user=user,
                item=catalogue.item_of_position[position],
                timestamp=self._draw_times(lengths, bought.shape)[inside],
                rating=stars.astype(np.float64),
                summary=summaries,
                review=reviews,
            ),
            provenance={
                'generator': 'simulated_shop',
                'version': self.version,
                'size': self.size,
                'seed': self.seed,
                'behaviour': dataclasses.asdict(self.behaviour),
                'k_core': 0,
                'tie_rule': 'none needed: the timestamps of a user strictly increase',
                'relabelled': f'item indices and ids are random, from the seed {self.seed}',
            },
        )

    def _draw_types(self, taste: Taste) -> Int[np.ndarray, 'users']:
        return self._rng('types').choice(len(taste.prior), p=taste.prior, size=shop_size(self.size).users)

    def _draw_times(
        self, lengths: Int[np.ndarray, 'users'], shape: tuple[int, ...]
    ) -> Int[np.ndarray, 'users longest']:
        rng = self._rng('times')
        start = _OPENING_TIME + rng.integers(_YEARS, size=len(lengths))
        gaps = _SHORTEST_GAP + np.floor(_MEAN_GAP * rng.random(shape)).astype(np.int64)
        return start[:, None] + np.cumsum(gaps, axis=1)

    def _rng(self, stream: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAMS.index(stream)])
