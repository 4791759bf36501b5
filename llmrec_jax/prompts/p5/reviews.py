"""P5's families that a rated event fills: ratings (1), explanations (3), reviews (4) and transfer (Z).

In family Z, users of the training domain meet items of another, which only words describe.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.names import (
    ITEM_FIELDS,
    STAR_FIELDS,
    USER_FIELDS,
    item_texts,
    star_texts,
    user_texts,
)
from llmrec_jax.prompts.prompt_group import Filling
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.template import Template


@dataclasses.dataclass(frozen=True)
class RatedItem:
    """A rating that a user gave an item.

    A record has `user` and `item` (rows) and `level` (row in `scale.ratings`).

    Attributes:
      scale: the ratings that there are.
      noisy: whether the target gets P5's noise, as in training.
    """

    scale: RatingScale = dataclasses.field(default_factory=RatingScale)
    noisy: bool = False
    fields: ClassVar[frozenset[str]] = USER_FIELDS | ITEM_FIELDS | STAR_FIELDS

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are `user`, `item` and `level`."""
        ops = draws.ops
        texts = {
            **user_texts(ops, tables, record['user']),
            **item_texts(ops, tables, record['item']),
            **star_texts(self.scale, self.noisy, record, draws),
        }
        return Filling(texts, {name: record[name] for name in ('user', 'item', 'level')})


def _rating(number: int, inputs: str, targets: str, held_out: bool = False) -> Template:
    return Template(f'1-{number}', 'rating', 'stars', inputs, targets, held_out)


RATING_TEMPLATES = (
    _rating(1, 'How many stars, from 1 to 5, does {user} award to {item} ?', '{stars}'),
    _rating(2, 'A product is called "{title}". How many stars out of 5 does {user} give it?', '{stars}'),
    _rating(
        3, 'On a scale from 1 to 5, does {user} rate {item} with {asked_stars} stars?', '{yes_no}'
    ),
    _rating(4, 'Is it like or dislike that {user} feels about {item} ?', '{like}'),
    _rating(
        5,
        'State the rating that {user} has for {item} , the product "{title}", as one of -1 -2 -3 -4 -5',
        '{stars}',
    ),
    _rating(6, 'Think of {user_name} and of {item} : which rating from 1 to 5 follows?', '{stars}'),
    _rating(7, '{user_name} has tried "{title}". Which rating from 1 to 5 follows?', '{stars}'),
    _rating(
        8, 'Is "{title}" worth {asked_stars} of 5 stars in the eyes of {user_name}?', '{yes_no}'
    ),
    _rating(9, 'Would you say like or dislike for what {user_name} makes of "{title}"?', '{like}'),
    _rating(
        10, 'Put a number on how much {user_name} prefers "{title}", 1 for least and 5 for most.',
        '{stars}', held_out=True,
    ),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ReviewedItem(RatedItem):
    """A rated item with its review.

    A record has what `RatedItem` asks for, and the texts `headline` and `review`.
    """

    fields: ClassVar[frozenset[str]] = RatedItem.fields | {'headline', 'review'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are those of `RatedItem`."""
        rated = super().__call__(record, tables, draws)
        return Filling(
            {**rated.texts, **{field: record[field] for field in ('headline', 'review')}}, rated.features
        )


def _review(number: int, inputs: str, targets: str, held_out: bool = False) -> Template:
    return Template(f'4-{number}', 'review', 'review', inputs, targets, held_out)


REVIEW_TEMPLATES = (
    _review(1, 'Find a headline for this review, which {user} wrote: {review}', '{headline}'),
    _review(2, 'How many stars from 1 to 5 go with this review by {user} ? {review}', '{whole_stars}'),
    _review(3, 'Sum up in a few words what {user_name} writes: {review}', '{headline}'),
    _review(
        4,
        'Read what {user_name} writes and give the rating from 1 to 5: {review}',
        '{whole_stars}',
        held_out=True,
    ),
)


@dataclasses.dataclass(frozen=True)
class ExplainedItem(RatedItem):
    """A rated item with a sentence that explains the rating.

    A record has what `RatedItem` asks for, and the texts `headline`, `explanation` and `feature_word`.
    """

    fields: ClassVar[frozenset[str]] = RatedItem.fields | {'headline', 'explanation', 'feature_word'}

    def __call__(self, record: Mapping[str, Array], tables: Mapping[str, Array], draws: Draws) -> Filling:
        """See `prompt_group.Form`; the features are those of `RatedItem`."""
        rated = super().__call__(record, tables, draws)
        said = {field: record[field] for field in ('headline', 'explanation', 'feature_word')}
        return Filling({**rated.texts, **said}, rated.features)


def _explanation(
    number: int, inputs: str, targets: str = '{explanation}', held_out: bool = False
) -> Template:
    return Template(f'3-{number}', 'explanation', 'sentence', inputs, targets, held_out)


EXPLANATION_TEMPLATES = (
    _explanation(1, 'In the words of {user} , explain the choice of "{title}".'),
    _explanation(2, '{user} gave a review of {item} the headline "{headline}". Explain it in a sentence.'),
    _explanation(3, 'Explain for {user} why "{title}" deserves {whole_stars} stars.'),
    _explanation(4, 'In the words of {user_name}, explain the choice of "{title}".'),
    _explanation(5, 'The headline is "{headline}", the product "{title}". Explain what {user_name} means.'),
    _explanation(6, 'Explain for {user_name} why {item} deserves {whole_stars} stars.'),
    _explanation(
        7,
        'Say how many stars {user} gives {item} , and explain them with the word {feature_word} .',
        '{stars}, {explanation}',
    ),
    _explanation(
        8,
        'Say how many of 5 stars {user_name} gives {item} , and explain them.',
        '{stars}, {explanation}',
    ),
    _explanation(9, 'With the word {feature_word} , explain for {user} the choice of "{title}".'),
    _explanation(10, 'With the word {feature_word} , explain for {user_name} the choice of "{title}".'),
    _explanation(11, 'Use {feature_word} to explain why {user} gives {item} {whole_stars} stars.'),
    _explanation(
        12,
        'Starting from {feature_word} , explain the {whole_stars} stars that {user_name} gives {item} .',
        held_out=True,
    ),
)


_FACTS = 'title: {title} brand: {brand} price: {price}'


def _transfer(number: int, inputs: str, targets: str) -> Template:
    return Template(f'Z-{number}', 'zero_shot', 'transfer', inputs, targets, held_out=True)


# Filled by `ExplainedItem`.
TRANSFER_TEMPLATES = (
    _transfer(1, f'Like or dislike, when {{user}} meets this new product? {_FACTS}', '{like}'),
    _transfer(
        2, f'A new product: {_FACTS} How many stars from 1 to 5 would {{user_name}} give it?', '{stars}'
    ),
    _transfer(
        3, f'State the rating from 1 to 5 that {{user}} would have for this product: {_FACTS}', '{stars}'
    ),
    _transfer(4, f'Like or dislike, when {{user_name}} meets this new product? {_FACTS}', '{like}'),
    _transfer(5, f'Explain what {{user_name}} would think of this new product. {_FACTS}', '{explanation}'),
    _transfer(
        6,
        f'Use {{feature_word}} to explain why {{user}} would give {{whole_stars}} stars to: {_FACTS}',
        '{explanation}',
    ),
    _transfer(
        7,
        'There is a new product, "{title}". Would {user_name} love it? If so, explain why.',
        '{explanation}',
    ),
)
