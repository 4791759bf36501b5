"""Ratings that are guessed from means alone: of all, of the item, of the user, of both."""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float, Int

# A strength of 3 draws a mean back as three ratings without any leaning would.
REGULARISATIONS = (1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 3
UNKNOWN = -1
_SWEEPS = 200
# In stars: of what is kept, and of what is only compared.
_CLOSE, _NEAR = 1e-7, 1e-3


@dataclasses.dataclass(frozen=True)
class Ratings:
    """Ratings that were given in training.

    Attributes:
      user: row of the user, below `users`.
      item: row of the item, below `items`.
      stars: the rating.
      users: how many users there are.
      items: how many items there are.

    Raises:
      ValueError: when there are no ratings, one is not finite, or a row is out of range.
    """

    user: Int[np.ndarray, 'ratings']
    item: Int[np.ndarray, 'ratings']
    stars: Float[np.ndarray, 'ratings']
    users: int
    items: int

    def __post_init__(self):
        if not len(self.stars):
            raise ValueError('the baselines have no training ratings to take means of')
        if not np.isfinite(self.stars).all():
            raise ValueError(f'training rating {np.flatnonzero(~np.isfinite(self.stars))[0]} is not finite')
        for name, rows, count in (('user', self.user, self.users), ('item', self.item, self.items)):
            if rows.min() < 0 or rows.max() >= count:
                outside = int(rows.min()) if rows.min() < 0 else int(rows.max())
                raise ValueError(f'the training ratings name {name} {outside}, but there are {count}')

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Ratings':
        """The ratings at `rows`."""
        return dataclasses.replace(self, user=self.user[rows], item=self.item[rows], stars=self.stars[rows])


@dataclasses.dataclass(frozen=True)
class RatingMeans:
    """A mean and what each user and item add to it.

    Attributes:
      mean: of all ratings, or what is left of it.
      of_user: what each user adds, 0 where nothing is known.
      of_item: what each item adds, likewise.
    """

    mean: float
    of_user: Float[np.ndarray, 'users']
    of_item: Float[np.ndarray, 'items']

    def stars(
        self, user: Int[np.ndarray, 'asked'], item: Int[np.ndarray, 'asked']
    ) -> Float[np.ndarray, 'asked']:
        """The guess for each user and item; of row -1 (`UNKNOWN`), as of another corpus, nothing is known."""
        return self.mean + _of_row(self.of_user, user) + _of_row(self.of_item, item)


def rating_baselines(train: Ratings) -> dict[str, RatingMeans]:
    """Every baseline by its name in the results.

    'global_mean', 'item_mean' and 'user_mean' are plain means, the global one where there is no rating;
    'user_item_mean' is `user_item_means`.
    """
    mean = float(train.stars.mean())
    no_user, no_item = np.zeros(train.users), np.zeros(train.items)
    centred = train.stars - mean
    return {
        'global_mean': RatingMeans(mean, no_user, no_item),
        'item_mean': RatingMeans(mean, no_user, _means(train.item, centred, train.items)),
        'user_mean': RatingMeans(mean, _means(train.user, centred, train.users), no_item),
        'user_item_mean': user_item_means(train),
    }


def user_item_means(train: Ratings, seed: int = 0) -> RatingMeans:
    """Means of users and items together, by regularised least squares, as strong as training ratings make it.

    The two strengths of regularisation are those of `REGULARISATIONS` whose fits err least, squared, on parts
    of the training ratings that were left out (`FOLDS` of them, or as many as there are ratings).

    Args:
      train: training ratings; nothing else is looked at.
      seed: of the parts.
    """
    folds = min(FOLDS, len(train.stars))
    strengths = list(itertools.product(REGULARISATIONS, repeat=2))
    if folds < 2:
        return least_squares_means(train, *strengths[-1])
    part = np.random.default_rng(seed).permutation(len(train.stars)) % folds
    errors = np.zeros(len(strengths))
    for fold in range(folds):
        kept = train.take(np.flatnonzero(part != fold))
        left_out = train.take(np.flatnonzero(part == fold))
        for place, (for_users, for_items) in enumerate(strengths):
            means = least_squares_means(kept, for_users, for_items, _NEAR)
            guess = means.stars(left_out.user, left_out.item)
            errors[place] += np.square(guess - left_out.stars).sum()
    return least_squares_means(train, *strengths[int(errors.argmin())])


def least_squares_means(
    train: Ratings, for_users: float, for_items: float, close: float = _CLOSE
) -> RatingMeans:
    """Minimises sum (r - m - u - i)^2 + for_users sum u^2 + for_items sum i^2 over m, all u and all i.

    By turns, each given the others, until nothing changes by `close` or more.

    Args:
      train: training ratings r.
      for_users: strength of regularisation of users, above 0.
      for_items: likewise of items.
      close: in stars.
    """
    mean = float(train.stars.mean())
    of_user, of_item = np.zeros(train.users), np.zeros(train.items)
    users_ratings = np.bincount(train.user, minlength=train.users)
    items_ratings = np.bincount(train.item, minlength=train.items)
    for _ in range(_SWEEPS):
        before = (mean, of_user, of_item)
        rest = train.stars - mean - of_item[train.item]
        of_user = np.bincount(train.user, rest, train.users) / (users_ratings + for_users)
        rest = train.stars - mean - of_user[train.user]
        of_item = np.bincount(train.item, rest, train.items) / (items_ratings + for_items)
        mean = float((train.stars - of_user[train.user] - of_item[train.item]).mean())
        changes = (np.abs(new - old).max() for new, old in zip((mean, of_user, of_item), before))
        if max(changes) < close:
            break
    return RatingMeans(mean, of_user, of_item)


def _means(
    rows: Int[np.ndarray, 'ratings'], values: Float[np.ndarray, 'ratings'], count: int
) -> Float[np.ndarray, 'count']:
    """The mean of each row's values; 0 where it has none."""
    known = np.bincount(rows, minlength=count)
    return np.divide(np.bincount(rows, values, count), known, out=np.zeros(count), where=known > 0)


def _of_row(values: Float[np.ndarray, 'rows'], rows: Int[np.ndarray, 'asked']) -> Float[np.ndarray, 'asked']:
    return np.where(rows == UNKNOWN, 0.0, values[rows])
