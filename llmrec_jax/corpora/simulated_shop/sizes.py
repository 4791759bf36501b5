"""How big the shop is, by name."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType


@dataclasses.dataclass(frozen=True)
class ShopSize:
    """The shape of a shop.

    Attributes:
      items: items in the catalogue.
      users: users, each with a history.
      departments: departments of the tree.
      sections: sections of each department.
      products: products of each section.
      ranges: ranges that each product comes in ('Travel Kettle'); a leaf of the tree is a product in a range.
      min_events: shortest history.
      mean_events: mean length of a history.
      max_events: longest history.
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

    @property
    def leaves(self) -> int:
        """Leaves of the category tree."""
        return self.departments * self.sections * self.products * self.ranges


SIZES: Mapping[str, ShopSize] = MappingProxyType(
    {
        'tiny': ShopSize(96, 200, 3, 2, 2, 1, 4, 6.0, 10),
        'quickstart': ShopSize(2_000, 5_000, 10, 4, 4, 1, 5, 7.5, 15),
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
