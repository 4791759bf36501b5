"""The fields that every family has (who and what), and ratings in words."""

from collections.abc import Mapping

from llmrec_jax.prompts.array_ops import Array, ArrayOps
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.rating_scale import RatingScale

USER_FIELDS = frozenset({'user', 'user_name'})
ITEM_FIELDS = frozenset({'item', 'title', 'brand', 'price'})


def user_texts(ops: ArrayOps, tables: Mapping[str, Array], user: Array) -> dict[str, Array]:
    """`USER_FIELDS` of the user at a row."""
    return {field: ops.take(tables[field], user) for field in USER_FIELDS}


def item_texts(ops: ArrayOps, tables: Mapping[str, Array], item: Array) -> dict[str, Array]:
    """`ITEM_FIELDS` of the item at a row."""
    return {field: ops.take(tables[field], item) for field in ITEM_FIELDS}


STAR_FIELDS = frozenset({'stars', 'whole_stars', 'asked_stars', 'yes_no', 'like'})


def star_texts(
    scale: RatingScale, noisy: bool, record: Mapping[str, Array], draws: Draws
) -> Mapping[str, Array]:
    """`STAR_FIELDS` of a record's `level` (row in `scale.ratings`).

    In half of the draws `asked_stars` is the rating, in half another one, each equally likely.
    """
    ops, level, count = draws.ops, record['level'], len(scale.ratings)
    as_given = ops.texts([f'{rating:g}' for rating in scale.ratings])
    tenths = ops.texts(scale.tenths)
    if noisy:
        drawn = draws.integers('noise', 2**32 - 1, 1)
        # The first tenth whose cumulative probability exceeds the draw.
        row = ops.take(ops.integers(scale.noise), level)
        stars = ops.take(tenths, ops.position(row, drawn + 1)[0])
    else:
        exact = [round((rating - scale.lowest) * 10) for rating in scale.ratings]
        stars = ops.take(tenths, ops.take(ops.integers(exact), level))
    same = draws.coin('asked')
    other = (level + 1 + draws.integer('other', count - 1)) % count
    liking = ['like' if rating >= scale.liked_from else 'dislike' for rating in scale.ratings]
    return {
        'stars': stars,
        'whole_stars': ops.take(as_given, level),
        'asked_stars': ops.take(as_given, ops.choose(same, level, other)),
        'yes_no': ops.choose(same, 'yes', 'no'),
        'like': ops.take(ops.texts(liking), level),
    }
