"""Family 1: how many stars a user gives an item, whether so many, and whether they like it."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.names import ITEM_FIELDS, USER_FIELDS, item_texts, user_texts
from llmrec_jax.prompts.p5.stars import STAR_FIELDS, star_texts
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


def _template(number: int, inputs: str, targets: str, held_out: bool = False) -> Template:
    return Template(f'1-{number}', 'rating', 'stars', inputs, targets, held_out)


TEMPLATES = (
    _template(1, 'How many stars, from 1 to 5, does {user} award to {item} ?', '{stars}'),
    _template(2, 'A product is called "{title}". How many stars out of 5 does {user} give it?', '{stars}'),
    _template(
        3, 'On a scale from 1 to 5, does {user} rate {item} with {asked_stars} stars?', '{yes_no}'
    ),
    _template(4, 'Is it like or dislike that {user} feels about {item} ?', '{like}'),
    _template(
        5,
        'State the rating that {user} has for {item} , the product "{title}", as one of -1 -2 -3 -4 -5',
        '{stars}',
    ),
    _template(6, 'Think of {user_name} and of {item} : which rating from 1 to 5 follows?', '{stars}'),
    _template(7, '{user_name} has tried "{title}". Which rating from 1 to 5 follows?', '{stars}'),
    _template(
        8, 'Is "{title}" worth {asked_stars} of 5 stars in the eyes of {user_name}?', '{yes_no}'
    ),
    _template(9, 'Would you say like or dislike for what {user_name} makes of "{title}"?', '{like}'),
    _template(
        10, 'Put a number on how much {user_name} prefers "{title}", 1 for least and 5 for most.',
        '{stars}', held_out=True,
    ),
)  # fmt: skip
