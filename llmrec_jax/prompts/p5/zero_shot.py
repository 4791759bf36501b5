"""Family Z: users of the training domain meet items of another, which only words describe."""

from llmrec_jax.prompts.template import Template

_FACTS = 'title: {title} brand: {brand} price: {price}'


def _template(number: int, inputs: str, targets: str) -> Template:
    return Template(f'Z-{number}', 'zero_shot', 'transfer', inputs, targets, held_out=True)


# Filled by `explanation.ExplainedItem`.
TEMPLATES = (
    _template(1, f'Like or dislike, when {{user}} meets this new product? {_FACTS}', '{like}'),
    _template(
        2, f'A new product: {_FACTS} How many stars from 1 to 5 would {{user_name}} give it?', '{stars}'
    ),
    _template(
        3, f'State the rating from 1 to 5 that {{user}} would have for this product: {_FACTS}', '{stars}'
    ),
    _template(4, f'Like or dislike, when {{user_name}} meets this new product? {_FACTS}', '{like}'),
    _template(5, f'Explain what {{user_name}} would think of this new product. {_FACTS}', '{explanation}'),
    _template(
        6,
        f'Use {{feature_word}} to explain why {{user}} would give {{whole_stars}} stars to: {_FACTS}',
        '{explanation}',
    ),
    _template(
        7,
        'There is a new product, "{title}". Would {user_name} love it? If so, explain why.',
        '{explanation}',
    ),
)
