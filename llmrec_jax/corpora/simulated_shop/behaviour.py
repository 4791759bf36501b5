"""What drives a purchase, and how big the shop is, by name.

'tiny' is for tests. 'quickstart' is for the first run: so few events an item that counting transitions of
items is starved, while transitions of leaves, which only the text tells, are seen often. 'regulars' has few
items and customers who come often, so that names of items and users, which tell nothing by themselves, are
seen often enough to be learned by heart. 'corner' has but three items a leaf, so that what comes next can
all but be named. 'million' builds in about 70 seconds and 2.7 GB.
"""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

from llmrec_jax.corpora.simulated_shop import words

SMALLEST_LEAF = 3


@dataclasses.dataclass(frozen=True)
class ShopSize:
    """The shape of a shop.

    Attributes:
      items: items in the catalogue; at least `SMALLEST_LEAF` a leaf.
      users: users, each with a history.
      departments: departments of the tree; at least 2.
      sections: sections of each department; at least 2.
      products: products of each section.
      ranges: ranges that each product comes in ('Travel Kettle'); a leaf of the tree is a product in a range.
      min_events: shortest history.
      mean_events: mean length of a history.
      max_events: longest history; at most half the catalogue.
    """

    items: int
    users: int
    departments: int
    sections: int
    products: int
    ranges: int
    min_events: int
    mean_events: float
    max_events: int

    def __post_init__(self):
        department = words.DEPARTMENTS[0]
        for name, least, most in (
            ('departments', 2, len(words.DEPARTMENTS)),
            ('sections', 2, len(department.sections)),
            ('products', 1, min(len(products) for products in department.sections.values())),
            ('ranges', 1, len(words.RANGES) + 1),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f'ShopSize: {name} must be between {least} and {most}, not {getattr(self, name)}'
                )
        if self.items < SMALLEST_LEAF * self.leaves:
            raise ValueError(
                f'ShopSize: {self.items} items are too few for {self.leaves} leaves of {SMALLEST_LEAF}'
            )
        if not 1 <= self.min_events <= self.mean_events <= self.max_events <= self.items // 2:
            raise ValueError(
                'ShopSize: 1 <= min_events <= mean_events <= max_events <= items / 2 must hold, not '
                f'{self.min_events}, {self.mean_events}, {self.max_events}, {self.items / 2}'
            )

    @property
    def leaves(self) -> int:
        """Leaves of the category tree."""
        return self.departments * self.sections * self.products * self.ranges


SIZES: Mapping[str, ShopSize] = MappingProxyType(
    {
        'tiny': ShopSize(96, 200, 3, 2, 2, 1, 4, 6.0, 10),
        'regulars': ShopSize(400, 600, 3, 2, 2, 2, 45, 60.0, 90),
        'corner': ShopSize(160, 1_000, 4, 3, 2, 2, 12, 20.0, 30),
        'quickstart': ShopSize(2_400, 5_000, 5, 4, 4, 1, 5, 7.5, 15),
        'small': ShopSize(5_000, 20_000, 10, 4, 6, 2, 5, 8.0, 20),
        'medium': ShopSize(20_000, 60_000, 10, 4, 6, 6, 5, 8.0, 30),
        'large': ShopSize(100_000, 200_000, 10, 4, 6, 20, 5, 8.0, 40),
        'million': ShopSize(1_000_000, 500_000, 10, 4, 6, 40, 5, 8.0, 50),
    }
)


def shop_size(name: str) -> ShopSize:
    """The size called `name`.

    Raises:
      ValueError: where there is no such size; the message names those there are.
    """
    if name not in SIZES:
        raise ValueError(f'simulated_shop: unknown size {name!r}; the sizes are {", ".join(SIZES)}')
    return SIZES[name]


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """The knobs of the next-item law (`law.NextItemLaw` says how they enter).

    Attributes:
      same_leaf: share of purchases from the leaf of the item the user continues from.
      same_section: share from that item's section.
      complement: share from a leaf that complements that item's leaf.
      popularity: share from the whole shop, by popularity and taste.
      noise: share from the whole shop, uniformly. The five shares sum to one.
      memory: weight of the last item, the last but one, ... as the item the user continues from; renormalised
        where the history is shorter.
      complements: weights of a leaf's complementary leaves, the strongest first; sum to one.
      taste_types: number of latent taste types.
      taste: how strongly taste moves the choice of an item: an item one standard deviation more to a type's
        liking is chosen exp(taste) times as often.
      zipf: exponent of popularity by rank.
      brand_fame: share of an item's popularity (in standard deviations of its score) that is its brand's.
    """

    same_leaf: float = 0.32
    same_section: float = 0.06
    complement: float = 0.51
    popularity: float = 0.06
    noise: float = 0.05
    memory: tuple[float, ...] = (0.85, 0.15)
    complements: tuple[float, ...] = (0.8, 0.2)
    taste_types: int = 12
    taste: float = 0.8
    zipf: float = 0.7
    brand_fame: float = 0.5

    def __post_init__(self):
        shares = {
            'the shares same_leaf + same_section + complement + popularity + noise': (
                self.same_leaf,
                self.same_section,
                self.complement,
                self.popularity,
                self.noise,
            ),
            'memory': self.memory,
            'complements': self.complements,
        }
        for name, values in shares.items():
            if not values or min(values) < 0 or not math.isclose(sum(values), 1.0, abs_tol=1e-9):
                raise ValueError(f'Behaviour: {name} must be non-negative and sum to 1, not {values}')
        if self.noise <= 0:
            raise ValueError('Behaviour: noise must be positive, so that every item can follow every other')
        if self.memory[0] <= 0:
            raise ValueError(f'Behaviour: the last item needs a positive weight in memory, not {self.memory}')
        if self.taste_types < 1:
            raise ValueError(f'Behaviour: taste_types must be at least 1, not {self.taste_types}')
        if not 0 <= self.brand_fame <= 1:
            raise ValueError(f'Behaviour: brand_fame must be between 0 and 1, not {self.brand_fame}')
