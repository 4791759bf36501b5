"""Item sentences: what is known, and only that."""

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Items
from llmrec_jax.text.item_text import FIELDS, item_sentences

ITEMS = Items(
    item_id=['B1', 'B2', 'B3'],
    title=['Red  Shatter\n', '', 'What a Polish!'],
    brand=['OPI', '', ''],
    categories=[('Beauty', 'Nails'), (), ('Beauty', '')],
    description=['Cracks as it dries', '', 'one two three four.'],
    price=np.array([8.99, np.nan, 5.0]),
)


def test_known_fields_are_named_and_unknown_ones_left_out():
    assert item_sentences(ITEMS, without_text='An unknown item.') == [
        'Red Shatter. Price: 8.99. Brand: OPI. Categories: Beauty, Nails. Cracks as it dries.',
        'An unknown item.',
        'What a Polish! Price: 5.00. Categories: Beauty. one two three four.',
    ]


def test_fields_come_in_the_order_asked_and_descriptions_are_cut():
    sentences = item_sentences(
        ITEMS, ('description', 'title'), max_description_words=2, without_text='An unknown item.'
    )
    assert sentences == ['Cracks as. Red Shatter.', 'An unknown item.', 'one two. What a Polish!']


def test_an_item_that_says_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match=r"1 of 3 items have none of title, price.*first is item 1 \('B2'\)"):
        item_sentences(ITEMS)


@pytest.mark.parametrize('fields', [(), ('title', 'colour')])
def test_unknown_fields_are_refused(fields):
    with pytest.raises(ValueError, match='choose at least one of'):
        item_sentences(ITEMS, fields)


@pytest.mark.parametrize('field', FIELDS)
def test_every_field_alone_makes_a_sentence(field):
    assert item_sentences(ITEMS, (field,), without_text='-')[0] not in ('', '-')
