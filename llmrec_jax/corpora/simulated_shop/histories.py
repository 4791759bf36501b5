"""Draws purchase histories from the law."""

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.simulated_shop.behaviour import ShopSize
from llmrec_jax.corpora.simulated_shop.law import NextItemLaw


def draw_lengths(size: ShopSize, rng: np.random.Generator) -> Int[np.ndarray, 'users']:
    """Lengths of the users' histories: geometric above the shortest, cut at the longest.

    A length says nothing about taste or items, so knowing that a user goes on buying shifts no prediction.
    """
    above = rng.geometric(1.0 / (1.0 + size.mean_events - size.min_events), size=size.users) - 1
    return np.minimum(size.min_events + above, size.max_events)


def draw_histories(
    law: NextItemLaw,
    types: Int[np.ndarray, 'users'],
    lengths: Int[np.ndarray, 'users'],
    rng: np.random.Generator,
) -> Int[np.ndarray, 'users longest']:
    """Draws a history for each user.

    A draw from the mixture that the user has bought before is thrown away and drawn again, which is the law's
    restriction to items not yet bought.

    Args:
      law: what is bought next.
      types: the users' taste types.
      lengths: how many items each user buys; at most half the catalogue, so that redrawing ends soon.
      rng: where the draws come from.

    Returns:
      Positions in tree order, oldest first, padded on the right with -1.

    Raises:
      ValueError: where a history is longer than half the catalogue.
    """
    longest = int(lengths.max(initial=0))
    if longest > law.n_items // 2:
        raise ValueError(
            f'simulated_shop: a history of {longest} items is too long for a catalogue of {law.n_items}; '
            'at most half of it can be bought'
        )
    bought = np.full((len(types), longest), -1, np.int32)
    lags = len(law.behaviour.memory)
    for step in range(longest):
        pending = np.flatnonzero(lengths > step)
        while len(pending):
            recent = np.full((len(pending), lags), -1, np.int64)
            known = bought[pending, max(step - lags, 0) : step][:, ::-1]
            recent[:, : known.shape[1]] = known
            drawn = _draw_once(law, types[pending], recent, rng)
            again = (bought[pending, :step] == drawn[:, None]).any(axis=1)
            bought[pending[~again], step] = drawn[~again]
            pending = pending[again]
    return bought


def _draw_once(
    law: NextItemLaw,
    types: Int[np.ndarray, 'cases'],
    recent: Int[np.ndarray, 'cases lags'],
    rng: np.random.Generator,
) -> Int[np.ndarray, 'cases']:
    """One draw of Q for each case: a route, then an item of the route's group."""
    groups, shares = law.routes(recent)
    thresholds = np.cumsum(shares, axis=1)
    drawn_share = rng.random(len(types)) * thresholds[:, -1]
    route = (drawn_share[:, None] >= thresholds[:, :-1]).sum(axis=1)
    group = groups[np.arange(len(types)), route]
    first, end = law.group_bounds[group].T
    within = rng.random(len(types))
    # The uniform group; the others are drawn again below by worth.
    drawn = first + np.floor(within * (end - first)).astype(np.int64)
    by_worth = group < law.n_groups - 1
    for kind in range(law.n_types):
        rows = np.flatnonzero(by_worth & (types == kind))
        cumulative = law.cumulative_worth[kind]
        below, above = cumulative[first[rows]], cumulative[end[rows]]
        mark = below + np.floor(within[rows] * (above - below)).astype(np.int64)
        drawn[rows] = np.searchsorted(cumulative, mark, side='right') - 1
    return drawn
