"""Family 3: why a user likes or dislikes an item, as a sentence; with hints or without."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.rating import RatedItem
from llmrec_jax.prompts.prompt_group import Filling
from llmrec_jax.prompts.template import Template


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


def _template(number: int, inputs: str, targets: str = '{explanation}', held_out: bool = False) -> Template:
    return Template(f'3-{number}', 'explanation', 'sentence', inputs, targets, held_out)


TEMPLATES = (
    _template(1, 'In the words of {user} , explain the choice of "{title}".'),
    _template(2, '{user} gave a review of {item} the headline "{headline}". Explain it in a sentence.'),
    _template(3, 'Explain for {user} why "{title}" deserves {whole_stars} stars.'),
    _template(4, 'In the words of {user_name}, explain the choice of "{title}".'),
    _template(5, 'The headline is "{headline}", the product "{title}". Explain what {user_name} means.'),
    _template(6, 'Explain for {user_name} why {item} deserves {whole_stars} stars.'),
    _template(
        7,
        'Say how many stars {user} gives {item} , and explain them with the word {feature_word} .',
        '{stars}, {explanation}',
    ),
    _template(
        8,
        'Say how many of 5 stars {user_name} gives {item} , and explain them.',
        '{stars}, {explanation}',
    ),
    _template(9, 'With the word {feature_word} , explain for {user} the choice of "{title}".'),
    _template(10, 'With the word {feature_word} , explain for {user_name} the choice of "{title}".'),
    _template(11, 'Use {feature_word} to explain why {user} gives {item} {whole_stars} stars.'),
    _template(
        12,
        'Starting from {feature_word} , explain the {whole_stars} stars that {user_name} gives {item} .',
        held_out=True,
    ),
)
