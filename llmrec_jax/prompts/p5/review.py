"""Family 4: a review's headline, and the rating that a review goes with."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.rating import RatedItem
from llmrec_jax.prompts.prompt_group import Filling
from llmrec_jax.prompts.template import Template


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


def _template(number: int, inputs: str, targets: str, held_out: bool = False) -> Template:
    return Template(f'4-{number}', 'review', 'review', inputs, targets, held_out)


TEMPLATES = (
    _template(1, 'Find a headline for this review, which {user} wrote: {review}', '{headline}'),
    _template(2, 'How many stars from 1 to 5 go with this review by {user} ? {review}', '{whole_stars}'),
    _template(3, 'Sum up in a few words what {user_name} writes: {review}', '{headline}'),
    _template(
        4,
        'Read what {user_name} writes and give the rating from 1 to 5: {review}',
        '{whole_stars}',
        held_out=True,
    ),
)
