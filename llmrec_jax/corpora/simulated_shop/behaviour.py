"""What drives a purchase: the shares of the next-item mixture and the strength of taste."""

import dataclasses
import math


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
