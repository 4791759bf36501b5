"""Ratings and reviews: what a user of a taste type says about an item they bought.

Stars follow the item's match with the user's taste, with the user's leniency and noise added. A review
praises the facets of the item that the user's type likes and complains about those it dislikes, in proportion
to the stars.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.simulated_shop import words
from llmrec_jax.corpora.simulated_shop.catalogue import FACET_WEIGHTS, ShopCatalogue, Taste
from llmrec_jax.corpora.simulated_shop.text import product_name

MEAN_STARS = 3.5
STARS_PER_MATCH = 1.0
LENIENCY = 0.35
NOISE = 0.55

SPOKEN_FACETS = ('brand', 'style', 'material', 'colour', 'price_tier')

_PRAISE = {
    'brand': ('{} never lets me down.', 'Typical {} quality, which I love.', 'I keep coming back to {}.'),
    'style': (
        'The {} look is exactly my taste.',
        'I adore its {} style.',
        'It is so {}, just what I wanted.',
    ),
    'material': ('The {} feels wonderful.', 'I love anything in {}.', 'You cannot go wrong with {}.'),
    'colour': ('The {} is gorgeous.', 'I fell for the {} at once.', '{} is my favourite colour.'),
}
_COMPLAINT = {
    'brand': (
        'I do not get on with {}.',
        '{} is overrated, I find.',
        'I should have known better than to buy {}.',
    ),
    'style': ('The {} look is not for me.', 'It is too {} for my taste.', 'I never liked the {} style.'),
    'material': ('I do not care for the {}.', 'The {} puts me off.', 'I wish it were not {}.'),
    'colour': ('The {} does nothing for me.', 'I cannot stand the {}.', '{} was the wrong colour for me.'),
}
_PRICE_PRAISE = (
    ('A real bargain.', 'So little money for so much use.', 'I like that it costs next to nothing.'),
    ('Fairly priced.', 'The price is just right.', 'Good value for the money.'),
    ('Worth every penny.', 'I gladly pay more for this.', 'You get what you pay for, in the best way.'),
)
_PRICE_COMPLAINT = (
    ('You can tell that it was cheap.', 'It feels like a budget thing.', 'I should have spent more.'),
    ('The price is neither here nor there.', 'I expected more for the money.', 'Others do this for less.'),
    ('Far too expensive.', 'The price is hard to justify.', 'I paid for the label, it seems.'),
)
_OPENINGS = (
    ('This {} was a mistake.', 'I sent this {} back.', 'What a let-down of a {}.', 'Avoid this {}.'),
    (
        'I regret buying this {} a little.',
        'This {} disappointed me.',
        'Not much of a {}.',
        'I hoped for a better {}.',
    ),
    (
        'This {} is all right.',
        'A so-so {}.',
        'I am in two minds about this {}.',
        'The {} does its job, no more.',
    ),
    ('I am happy with this {}.', 'A good {}.', 'This {} does what I hoped.', 'Glad I bought this {}.'),
    ('I love this {}!', 'The best {} I have had.', 'This {} is a joy.', 'What a {}! I use it all the time.'),
)
_FEATURE = {
    'praise': ('I like that it has {}.', 'It helps that it comes with {}.', 'With {}, it is handy too.'),
    'complaint': ('Not even {} can save it.', 'I have no use for {}.', 'It has {}, but that is all.'),
}
_CONTRAST = ('That said: ', 'Then again: ', 'On the other hand: ', 'Still, to be fair: ')
_SUMMARIES = (
    ('Not for me', 'Poor {}', 'Would not buy again', 'One star is generous'),
    ('Disappointing {}', 'Expected more', 'Below average', 'Hm'),
    ('It is okay', 'Average {}', 'Good and bad', 'Does the job'),
    ('Good {}', 'Pleased', 'Nearly perfect', 'Would buy again'),
    ('Wonderful {}', 'Love it', 'Just my taste', 'Perfect {}'),
)
_VARIANTS = 3
_CHUNK = 100_000


def draw_ratings(
    taste: Taste,
    types: Int[np.ndarray, 'users'],
    user: Int[np.ndarray, 'events'],
    position: Int[np.ndarray, 'events'],
    rng: np.random.Generator,
) -> Int[np.ndarray, 'events']:
    """Stars from 1 to 5 for each event."""
    leniency = LENIENCY * rng.normal(size=len(types))
    liking = MEAN_STARS + STARS_PER_MATCH * taste.match[types[user], position] + leniency[user]
    return np.clip(np.rint(liking + NOISE * rng.normal(size=len(user))), 1, 5).astype(np.int64)


def facet_liking(
    taste: Taste, types: Int[np.ndarray, 'events'], position: Int[np.ndarray, 'events']
) -> Float[np.ndarray, 'facets events']:
    """How much each of `SPOKEN_FACETS` of an item adds to its match with a type."""
    return np.stack(
        [
            FACET_WEIGHTS[facet] * taste.affinity[facet][types, taste.values[facet][position]]
            for facet in SPOKEN_FACETS
        ]
    )


class Reviewer:
    """Writes summaries and reviews about the items of a catalogue."""

    def __init__(self, catalogue: ShopCatalogue, taste: Taste):
        self._catalogue, self._taste = catalogue, taste
        self._products = [product_name(catalogue, leaf).lower() for leaf in range(catalogue.size.leaves)]
        departments = words.DEPARTMENTS
        # Values of material in a taste are numbered per department; see `draw_taste`.
        names = {
            'brand': catalogue.brand_name,
            'style': [style.lower() for style in words.STYLES],
            'material': [material.lower() for department in departments for material in department.materials],
            'colour': [colour.lower() for colour in words.COLOURS],
        }
        self._praise = [_fill(_PRAISE[facet], names[facet]) for facet in names] + [_PRICE_PRAISE]
        self._complaint = [_fill(_COMPLAINT[facet], names[facet]) for facet in names] + [_PRICE_COMPLAINT]

    def write(
        self,
        types: Int[np.ndarray, 'events'],
        position: Int[np.ndarray, 'events'],
        stars: Int[np.ndarray, 'events'],
        rng: np.random.Generator,
    ) -> Iterator[tuple[str, str]]:
        """Yields the summary and the review of each event.

        Args:
          types: taste type of each event's user.
          position: position of each event's item in tree order.
          stars: its rating, 1 to 5.
          rng: chooses among phrases.
        """
        for start in range(0, len(position), _CHUNK):
            rows = slice(start, start + _CHUNK)
            yield from self._write_chunk(types[rows], position[rows], stars[rows], rng)

    def _write_chunk(
        self,
        types: Int[np.ndarray, 'events'],
        position: Int[np.ndarray, 'events'],
        stars: Int[np.ndarray, 'events'],
        rng: np.random.Generator,
    ) -> Iterator[tuple[str, str]]:
        liking = facet_liking(self._taste, types, position)
        order = np.argsort(liking, axis=0, kind='stable')
        values = np.stack([self._taste.values[facet][position] for facet in SPOKEN_FACETS])

        def facet_and_value(rank: int) -> Iterator[tuple[int, int]]:
            facet = order[rank]
            return zip(facet.tolist(), np.take_along_axis(values, facet[None], axis=0)[0].tolist())

        phrases = rng.integers(_VARIANTS, size=(3, len(position)))
        # Openings and summaries come in fours; the fourth draw decides whether a feature is mentioned.
        fours = rng.integers(4, size=(4, len(position)))
        catalogue = self._catalogue
        columns = zip(
            stars.tolist(),
            facet_and_value(-1),
            facet_and_value(-2),
            facet_and_value(0),
            facet_and_value(1),
            phrases.T.tolist(),
            fours.T.tolist(),
            catalogue.leaf[position].tolist(),
            catalogue.department[position].tolist(),
            catalogue.feature[position].tolist(),
        )
        for star, best, second, worst, next_worst, phrase, four, leaf, department, feature in columns:
            product = self._products[leaf]
            parts = [_OPENINGS[star - 1][four[0]].format(product)]
            if star >= 4:
                parts.append(self._praise[best[0]][best[1]][phrase[0]])
                if star == 5:
                    parts.append(self._praise[second[0]][second[1]][phrase[1]])
                elif four[2] == 0:
                    parts.append(
                        _CONTRAST[four[1]] + _lower_first(self._complaint[worst[0]][worst[1]][phrase[1]])
                    )
            else:
                parts.append(self._complaint[worst[0]][worst[1]][phrase[0]])
                if star == 1:
                    parts.append(self._complaint[next_worst[0]][next_worst[1]][phrase[1]])
                elif star == 3 or four[2] == 0:
                    parts.append(_CONTRAST[four[1]] + _lower_first(self._praise[best[0]][best[1]][phrase[1]]))
            if four[3] < 2:
                tone = 'praise' if star >= 3 else 'complaint'
                parts.append(
                    _FEATURE[tone][phrase[2]].format(words.DEPARTMENTS[department].features[feature])
                )
            yield _SUMMARIES[star - 1][four[1]].format(product), ' '.join(parts)


def _fill(patterns: tuple[str, ...], names: list[str]) -> list[tuple[str, ...]]:
    """Each name in each pattern, as sentences."""
    return [tuple(_upper_first(pattern.format(name)) for pattern in patterns) for name in names]


def _upper_first(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _lower_first(sentence: str) -> str:
    """For use after a colon; leaves 'I' and brand names, which may begin a sentence, as they are."""
    first = sentence.split(' ', 1)[0]
    return sentence[0].lower() + sentence[1:] if first in _LOWERED else sentence


_LOWERED = frozenset({'The', 'It', 'You', 'A', 'So', 'Fairly', 'Worth', 'Good', 'Far', 'Others', 'Typical'})
