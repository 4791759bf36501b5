"""Latent taste: a few types of shopper, each with likes and dislikes among brands and attributes."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.simulated_shop import words
from llmrec_jax.corpora.simulated_shop.catalogue import PRICE_TIERS, ShopCatalogue

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
