r"""The shop's next-item law: who buys what next, as an exact distribution.

A user has a latent taste type z, drawn once from `prior`. To a user of type z an item i is worth

    w_z(i) = popularity(i) * exp(taste * match_z(i))

and A_z(i | G) = w_z(i) / sum_{j in G} w_z(j) is the choice of an item from a group G of items. With history
h, the user continues from one of the last items, the item at lag m with probability `memory[m]` (renormalised
where the history is shorter). Continuing from item j of leaf l in section s, the item wanted next is i with
probability

    Q_z(i | j) = same_leaf    * A_z(i | l)
               + same_section * A_z(i | s)
               + complement   * sum_k complements[k] * A_z(i | the k-th leaf that complements l)
               + popularity   * A_z(i | the whole shop)
               + noise        / number of items

The first item of a history is wanted with probability (1 - noise) * A_z(i | the whole shop) + noise / items.
Nobody buys an item twice: Q is restricted to items not yet in h and renormalised. Given a history, the type
has a posterior, and the predictive distribution P(i | h) = sum_z P(z | h) P(i | h, z) is what no recommender
that sees the bought items alone can beat.
"""

import dataclasses
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.simulated_shop.behaviour import Behaviour
from llmrec_jax.corpora.simulated_shop.catalogue import ShopCatalogue, Taste
from llmrec_jax.corpora.splits import Sequences

# Worths are integers in units of 2^-20 of their mean, so that sums are exact and the same on any machine.
WORTH_UNIT = 2.0**-20

# How much closer than others, on a scale of random closeness from 0 to 1, sections of a department are.
DEPARTMENT_CLOSENESS = 0.5


@dataclasses.dataclass(frozen=True)
class NextItemLaw:
    """The known next-item distribution; see the module's docstring for its form.

    Public methods speak the corpus's item indices; the arrays below are in tree order.

    Groups of items are numbered: leaves first, then sections, then the whole shop by worth, then the whole
    shop uniformly.

    Attributes:
      behaviour: the shares of the mixture.
      prior: share of each taste type.
      worth: worth of each item to each type, in units of `WORTH_UNIT`.
      leaf: leaf of each item.
      section_of_leaf: section of each leaf.
      complements: leaves that complement each leaf, the strongest first.
      item_of_position: the corpus's item index of each place in tree order.
    """

    behaviour: Behaviour
    prior: Float[np.ndarray, 'types']
    worth: Int[np.ndarray, 'types items']
    leaf: Int[np.ndarray, 'items']
    section_of_leaf: Int[np.ndarray, 'leaves']
    complements: Int[np.ndarray, 'leaves ranks']
    item_of_position: Int[np.ndarray, 'items']

    @property
    def n_items(self) -> int:
        """Items in the catalogue."""
        return len(self.leaf)

    @property
    def n_types(self) -> int:
        """Latent taste types."""
        return len(self.prior)

    @property
    def n_groups(self) -> int:
        """Groups of items: leaves, sections, the shop by worth, the shop uniformly."""
        return len(self.section_of_leaf) + int(self.section_of_leaf[-1]) + 3

    @cached_property
    def position_of_item(self) -> Int[np.ndarray, 'items']:
        """Place in tree order of each of the corpus's item indices."""
        return np.argsort(self.item_of_position)

    @cached_property
    def group_bounds(self) -> Int[np.ndarray, 'groups 2']:
        """First position of each group, and the one after its last."""
        leaf_ends = np.searchsorted(self.leaf, np.arange(len(self.section_of_leaf)), side='right')
        sections = np.arange(self.section_of_leaf[-1] + 1)
        section_ends = leaf_ends[np.searchsorted(self.section_of_leaf, sections, side='right') - 1]
        starts = [np.concatenate([[0], ends[:-1]]) for ends in (leaf_ends, section_ends)]
        return np.concatenate(
            [
                np.stack([starts[0], leaf_ends], axis=1),
                np.stack([starts[1], section_ends], axis=1),
                np.full((2, 2), (0, self.n_items)),
            ]
        )

    @cached_property
    def cumulative_worth(self) -> Int[np.ndarray, 'types items_plus_1']:
        """Worth of all items before each position."""
        zero = np.zeros((self.n_types, 1), np.int64)
        return np.concatenate([zero, np.cumsum(self.worth, axis=1)], axis=1)

    @cached_property
    def group_worth(self) -> Float[np.ndarray, 'types groups']:
        """Worth of each group's items together; the uniform group counts items instead."""
        first, end = self.group_bounds.T
        totals = (self.cumulative_worth[:, end] - self.cumulative_worth[:, first]).astype(np.float64)
        totals[:, -1] = self.n_items
        return totals

    def routes(
        self, recent: Int[np.ndarray, 'cases lags']
    ) -> tuple[Int[np.ndarray, 'cases routes'], Float[np.ndarray, 'cases routes']]:
        """The groups that the next item may be chosen from, and with what probability.

        Args:
          recent: positions of the last items, the last first, -1 where the history is shorter; as many lags
            as `behaviour.memory`.

        Returns:
          Groups and their probabilities, which sum to one in every row.
        """
        shares = self.behaviour
        leaves, present = len(self.section_of_leaf), recent >= 0
        lag_weight = np.where(present, np.array(shares.memory), 0.0)
        lag_weight = lag_weight / np.maximum(lag_weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        leaf = self.leaf[np.where(present, recent, 0)]
        groups = [leaf, leaves + self.section_of_leaf[leaf]]
        weights = [shares.same_leaf * lag_weight, shares.same_section * lag_weight]
        for rank, share in enumerate(shares.complements):
            groups.append(self.complements[leaf, rank])
            weights.append(shares.complement * share * lag_weight)
        cases = len(recent)
        groups.append(np.tile([self.n_groups - 2, self.n_groups - 1], (cases, 1)))
        by_worth = np.where(present.any(axis=1), shares.popularity, 1 - shares.noise)
        weights.append(np.stack([by_worth, np.full(cases, shares.noise)], axis=1))
        return np.concatenate(groups, axis=1), np.concatenate(weights, axis=1)

    def wanted(
        self, recent: Int[np.ndarray, 'cases lags'], positions: Int[np.ndarray, 'cases chosen']
    ) -> Float[np.ndarray, 'types cases chosen']:
        """Q_z of the items at `positions`, for each type; items already bought are not excluded here."""
        groups, shares = self.routes(recent)
        leaf = self.leaf[positions]
        section = len(self.section_of_leaf) + self.section_of_leaf[leaf]
        chances = np.full((self.n_types, *positions.shape), self.behaviour.noise / self.n_items)
        worth = self.worth[:, positions]
        for route in range(groups.shape[1] - 1):
            group, share = groups[:, route, None], shares[:, route, None]
            inside = (group == leaf) | (group == section) | (group == self.n_groups - 2)
            chances += (
                np.where(inside, share, 0.0) * worth / self.group_worth[:, groups[:, route]][:, :, None]
            )
        return chances

    def posterior(self, histories: Sequences) -> Float[np.ndarray, 'cases types']:
        """P(type | history), exactly.

        Raises:
          ValueError: where a history holds an item twice, which the law rules out, or an item that is not
            there.
        """
        return self._posterior(self._positions(histories), histories.lengths)[0]

    def predictive(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """P(next item | history) for every item of the corpus, exactly: zero for items in the history.

        Takes memory for cases times items; give it histories in batches.

        Raises:
          ValueError: where a history holds an item twice, or an item that is not there, or the whole
            catalogue.
        """
        positions = self._positions(histories)
        posterior, remaining = self._posterior(positions, histories.lengths)
        if len(histories) and (histories.lengths >= self.n_items).any():
            raise ValueError('simulated_shop: a history that holds the whole catalogue has no next item')
        groups, shares = self.routes(self._recent(positions, histories.lengths))
        cases, leaves = len(histories), len(self.section_of_leaf)
        by_group = np.zeros((cases, self.n_groups))
        np.add.at(by_group, (np.arange(cases)[:, None], groups), shares)
        chances = np.zeros((cases, self.n_items))
        uniform = np.zeros((cases, 1))
        for kind in range(self.n_types):
            scale = (posterior[:, kind] / remaining[:, kind])[:, None]
            rate = by_group * scale / self.group_worth[kind]
            uniform += rate[:, -1:]
            per_leaf = rate[:, :leaves] + rate[:, leaves:-2][:, self.section_of_leaf] + rate[:, -2:-1]
            chances += per_leaf[:, self.leaf] * self.worth[kind]
        chances += uniform
        by_item = chances[:, self.position_of_item]
        by_item[np.repeat(np.arange(cases), histories.lengths), histories.values] = 0.0
        return by_item

    def _posterior(
        self, positions: Int[np.ndarray, 'cases length'], lengths: Int[np.ndarray, 'cases']
    ) -> tuple[Float[np.ndarray, 'cases types'], Float[np.ndarray, 'cases types']]:
        """P(type | history), and the mass of Q_z that bought items leave for the next."""
        log_likelihood = np.tile(np.log(self.prior), (len(positions), 1))
        remaining = np.ones((len(positions), self.n_types))
        for step in range(positions.shape[1] + 1):
            rows = np.flatnonzero(lengths >= step)
            if not len(rows):
                break
            so_far = positions[rows, : step + 1]
            recent = self._recent(so_far[:, :step], np.full(len(rows), step))
            chances = self.wanted(recent, np.maximum(so_far, 0))
            left = 1.0 - chances[:, :, :step].sum(axis=2).T
            remaining[rows] = left
            bought = lengths[rows] > step
            if bought.any():
                log_likelihood[rows[bought]] += np.log(chances[:, bought, step].T / left[bought])
        log_likelihood -= log_likelihood.max(axis=1, keepdims=True)
        posterior = np.exp(log_likelihood)
        return posterior / posterior.sum(axis=1, keepdims=True), remaining

    def _recent(
        self, positions: Int[np.ndarray, 'cases length'], lengths: Int[np.ndarray, 'cases']
    ) -> Int[np.ndarray, 'cases lags']:
        """The last positions of each history, the last first, -1 where there are fewer."""
        back = lengths[:, None] - 1 - np.arange(len(self.behaviour.memory))[None, :]
        if not positions.shape[1]:
            return np.full_like(back, -1)
        return np.where(back >= 0, np.take_along_axis(positions, np.maximum(back, 0), axis=1), -1)

    def _positions(self, histories: Sequences) -> Int[np.ndarray, 'cases length']:
        """The histories as positions in tree order, oldest first, padded on the right with -1."""
        items, lengths = histories.values, histories.lengths
        if len(items) and (items.min() < 0 or items.max() >= self.n_items):
            raise ValueError(
                f'simulated_shop: histories hold items {int(items.min())} to {int(items.max())}, '
                f'but the catalogue has {self.n_items}'
            )
        row = np.repeat(np.arange(len(histories)), lengths)
        pairs = np.sort(row * self.n_items + items)
        twice = pairs[1:][np.diff(pairs) == 0]
        if len(twice):
            raise ValueError(
                f'simulated_shop: history {int(twice[0]) // self.n_items} holds item '
                f'{int(twice[0]) % self.n_items} twice; the law rules that out'
            )
        padded = np.full((len(histories), int(lengths.max(initial=0))), -1, np.int64)
        padded[row, np.arange(len(items)) - np.repeat(histories.offsets[:-1], lengths)] = (
            self.position_of_item[items]
        )
        return padded


def draw_law(
    catalogue: ShopCatalogue, taste: Taste, behaviour: Behaviour, rng: np.random.Generator
) -> NextItemLaw:
    """The law over a catalogue: worths from popularity and taste, and which leaves complement which."""
    worth = catalogue.popularity * np.exp(behaviour.taste * taste.match)
    worth = np.maximum(np.rint(worth / (worth.mean() * WORTH_UNIT)), 1).astype(np.int64)
    return NextItemLaw(
        behaviour=behaviour,
        prior=taste.prior,
        worth=worth,
        leaf=catalogue.leaf,
        section_of_leaf=catalogue.section_of_leaf,
        complements=_complements(catalogue, len(behaviour.complements), rng),
        item_of_position=catalogue.item_of_position,
    )


def _complements(
    catalogue: ShopCatalogue, ranks: int, rng: np.random.Generator
) -> Int[np.ndarray, 'leaves ranks']:
    """For each leaf, leaves of other sections, each of another one.

    Complements belong together by section, as coffee and baking do: all leaves of a section have their k-th
    complement in the same section, most often one of the same department.

    Raises:
      ValueError: where there are fewer other sections than ranks.
    """
    size = catalogue.size
    sections = np.arange(size.departments * size.sections)
    if ranks >= len(sections):
        raise ValueError(
            f'simulated_shop: {ranks} complements of a leaf need {ranks} other sections; '
            f'there are {len(sections) - 1}'
        )
    department = sections // size.sections
    closeness = rng.random((len(sections), len(sections)))
    closeness += DEPARTMENT_CLOSENESS * (department[:, None] == department[None, :])
    np.fill_diagonal(closeness, -1.0)
    partners = np.argsort(-closeness, axis=1, kind='stable')[:, :ranks]
    per_section = size.products * size.ranges
    within = rng.integers(per_section, size=(len(catalogue.section_of_leaf), ranks))
    return partners[catalogue.section_of_leaf] * per_section + within
