"""The catalogue as numbers: the category tree, and each item's brand, attributes, price and popularity.

Items stand here in *tree order* (by department, section, leaf), so that each branch is a contiguous range.
An item's place in that order is its *position*; the corpus shows items under shuffled indices instead
(`item_of_position`), because an index that follows the tree would tell a model what it should have read in
the text. A few types of shopper have likes and dislikes among brands and attributes.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.simulated_shop import words
from llmrec_jax.corpora.simulated_shop.behaviour import SMALLEST_LEAF, Behaviour, ShopSize

BRANDS_PER_SECTION = 2
PRICE_TIERS = ('budget', 'mid-range', 'premium')


@dataclasses.dataclass(frozen=True)
class ShopCatalogue:
    """The items in tree order, in columns.

    Attributes:
      size: the shop's size.
      section_of_leaf: section of each leaf; sections are numbered through the whole shop.
      leaf, section, department: of each item.
      brand, style, material, colour, feature, price_tier: of each item; material and feature number the words
        of the item's department, price_tier those of `PRICE_TIERS`.
      brand_name: each brand's name.
      price: in dollars.
      popularity: relative popularity; Zipf over the shop.
      item_of_position: the item index that the corpus shows for each position.
    """

    size: ShopSize
    section_of_leaf: Int[np.ndarray, 'leaves']
    leaf: Int[np.ndarray, 'items']
    section: Int[np.ndarray, 'items']
    department: Int[np.ndarray, 'items']
    brand: Int[np.ndarray, 'items']
    style: Int[np.ndarray, 'items']
    material: Int[np.ndarray, 'items']
    colour: Int[np.ndarray, 'items']
    feature: Int[np.ndarray, 'items']
    price_tier: Int[np.ndarray, 'items']
    brand_name: list[str]
    price: Float[np.ndarray, 'items']
    popularity: Float[np.ndarray, 'items']
    item_of_position: Int[np.ndarray, 'items']

    def __len__(self) -> int:
        return len(self.leaf)


def draw_catalogue(size: ShopSize, behaviour: Behaviour, rng: np.random.Generator) -> ShopCatalogue:
    """Draws a catalogue of `size.items` items."""
    section_of_leaf = np.arange(size.leaves) // (size.products * size.ranges)
    leaf = np.repeat(np.arange(size.leaves), _leaf_sizes(size, rng))
    section = section_of_leaf[leaf]
    department = section // size.sections

    sections = size.departments * size.sections
    brands = sections * BRANDS_PER_SECTION * max(1, size.ranges // 2)
    brand = _specialised_brands(section, size.sections, sections, brands, rng)
    materials, features = (
        np.array([len(getattr(words.DEPARTMENTS[d], column)) for d in range(size.departments)])[department]
        for column in ('materials', 'features')
    )
    style = rng.integers(len(words.STYLES), size=size.items)
    material = rng.integers(materials)
    colour = rng.integers(len(words.COLOURS), size=size.items)
    feature = rng.integers(features)
    price_tier, price = _prices(leaf, brand, size.leaves, brands, rng)

    fame = rng.normal(size=brands)[brand] * np.sqrt(behaviour.brand_fame)
    fame += rng.normal(size=size.items) * np.sqrt(1 - behaviour.brand_fame)
    rank = np.empty(size.items)
    rank[np.argsort(-fame, kind='stable')] = np.arange(size.items)
    return ShopCatalogue(
        size=size,
        section_of_leaf=section_of_leaf,
        leaf=leaf,
        section=section,
        department=department,
        brand=brand,
        style=style,
        material=material,
        colour=colour,
        feature=feature,
        price_tier=price_tier,
        brand_name=_brand_names(brands, rng),
        price=price,
        popularity=(rank + 1) ** -behaviour.zipf,
        item_of_position=rng.permutation(size.items),
    )


def _leaf_sizes(size: ShopSize, rng: np.random.Generator) -> Int[np.ndarray, 'leaves']:
    """How many items each leaf holds: unequal, none smaller than `SMALLEST_LEAF`."""
    share = rng.gamma(4.0, size=size.leaves)
    spare = size.items - SMALLEST_LEAF * size.leaves
    return SMALLEST_LEAF + rng.multinomial(spare, share / share.sum())


def _specialised_brands(
    section: Int[np.ndarray, 'items'],
    sections_per_department: int,
    sections: int,
    brands: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, 'items']:
    """Brand `b` is at home in section `b % sections`; items come from brands at home near by."""
    near = rng.random(len(section))
    within_department = (
        section - section % sections_per_department + rng.integers(sections_per_department, size=len(section))
    )
    anywhere = rng.integers(sections, size=len(section))
    home = np.where(near < 0.6, section, np.where(near < 0.95, within_department, anywhere))
    return home + sections * rng.integers(brands // sections, size=len(section))


def _prices(
    leaf: Int[np.ndarray, 'items'],
    brand: Int[np.ndarray, 'items'],
    leaves: int,
    brands: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, 'items'], Float[np.ndarray, 'items']]:
    """Tier and price: a leaf has a usual price, a brand is dear or cheap, and items vary around both."""
    usual = np.exp(rng.normal(3.4, 0.7, size=leaves))
    relative = 0.8 * rng.normal(size=brands)[brand] + 0.6 * rng.normal(size=len(leaf))
    tier = np.digitize(relative, (-0.45, 0.45))
    price = np.maximum(np.round(usual[leaf] * np.exp(0.4 * relative)), 2) - 0.01
    return tier, np.round(price, 2)


def _brand_names(brands: int, rng: np.random.Generator) -> list[str]:
    """Distinct names: heads and tails first, endings only when those run out."""
    stems = len(words.BRAND_HEADS) * len(words.BRAND_TAILS)
    if brands > stems * len(words.BRAND_ENDINGS):
        raise ValueError(f'simulated_shop: the vocabulary cannot name {brands} brands')
    order = rng.permutation(stems)
    names = []
    for number in range(brands):
        head, tail = divmod(int(order[number % stems]), len(words.BRAND_TAILS))
        names.append(words.BRAND_HEADS[head] + words.BRAND_TAILS[tail] + words.BRAND_ENDINGS[number // stems])
    return names


# How much each facet of an item counts in its match with a taste. Those a text shows plainly count most.
FACET_WEIGHTS: Mapping[str, float] = {
    'section': 0.45,
    'brand': 0.55,
    'style': 0.55,
    'material': 0.35,
    'colour': 0.25,
    'price_tier': 0.25,
}


@dataclasses.dataclass(frozen=True)
class Taste:
    """The taste types.

    Attributes:
      prior: share of the users of each type.
      affinity: per facet, how much each type likes each value; standard normal.
      values: per facet, the value of each item in tree order.
      match: how well each item suits each type; mean 0 and standard deviation 1 over the catalogue.
    """

    prior: Float[np.ndarray, 'types']
    affinity: dict[str, Float[np.ndarray, 'types values']]
    values: dict[str, Int[np.ndarray, 'items']]
    match: Float[np.ndarray, 'types items']


def draw_taste(catalogue: ShopCatalogue, types: int, rng: np.random.Generator) -> Taste:
    """Draws `types` taste types over a catalogue."""
    size = catalogue.size
    materials = max(len(department.materials) for department in words.DEPARTMENTS)
    counts = {
        'section': size.departments * size.sections,
        'brand': len(catalogue.brand_name),
        'style': len(words.STYLES),
        'material': size.departments * materials,
        'colour': len(words.COLOURS),
        'price_tier': len(PRICE_TIERS),
    }
    values = {facet: getattr(catalogue, facet) for facet in counts}
    # 'Oak' in the kitchen and 'Spruce' among guitars share a number; taste tells them apart.
    values['material'] = catalogue.department * materials + catalogue.material
    affinity = {facet: rng.normal(size=(types, count)) for facet, count in counts.items()}
    match = np.zeros((types, len(catalogue)))
    for facet, weight in FACET_WEIGHTS.items():
        match += weight * affinity[facet][:, values[facet]]
    match -= match.mean(axis=1, keepdims=True)
    match /= match.std(axis=1, keepdims=True)
    share = rng.gamma(8.0, size=types)
    return Taste(prior=share / share.sum(), affinity=affinity, values=values, match=match)
