"""Prompts of titles and placeholders, and how many hold vectors as training goes on."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.models.injected_decoder.model import HISTORY, ITEMS, TARGET_ITEM
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.systems.rsllm.prompts import (
    Rising,
    Staged,
    draw_items,
    item_names,
    training_examples,
)
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from tests.systems.rsllm.small import FORM, NAMES, prompts

HISTORY_ROWS, SHOWN = np.array([4, 0, 2]), np.array([3, 1, 4])


def test_each_title_stands_before_its_placeholder():
    asked = prompts()
    example = asked.example(HISTORY_ROWS, SHOWN, 1, with_vectors=True)
    words = [('<pad>', '</s>', '<unk>', *asked.vocabulary.words)[token] for token in example['inputs']]
    told = 'had red boat [ID] , red kite [ID] ,'
    assert ' '.join(words) == f'{told} from green kite [ID] , blue boat [ID] , old tent [ID] , next'
    assert example[HISTORY] == len(told.split())
    np.testing.assert_array_equal(example[ITEMS], [1, 3, 4, 2, 5])
    assert asked.vocabulary.decode(example['targets'].tolist()) == 'blue boat'
    assert (example['targets'][-1], example[TARGET_ITEM]) == (1, 2)
    text = asked.example(HISTORY_ROWS, SHOWN, 1, with_vectors=False)
    without = [word for word in words if word != '[ID]']
    assert [asked.vocabulary.words[token - 3] for token in text['inputs']] == without
    assert len(text[ITEMS]) == 0 and text[HISTORY] == len(told.replace('[ID] ', '').split())


@pytest.mark.parametrize(
    ('form', 'words', 'named'),
    [
        (FORM, 'had from next , red blue green old boat kite tent', 'not one of its own'),
        (dataclasses.replace(FORM, placeholder='[ID] [ID]'), '[ID]', 'is 2 tokens'),
        (dataclasses.replace(FORM, placeholder='boat'), 'boat', "'red boat' holds"),
    ],
)
def test_a_placeholder_is_a_token_of_its_own(form, words, named):
    with pytest.raises(ValueError, match=named):
        prompts(form, words).placeholder  # noqa: B018


@pytest.mark.parametrize(
    ('curriculum', 'shares'),
    [
        (Rising(), [0, 0.5, 1]),
        (Staged(), [0, 1, 1]),
        (Staged(text_share=0.0), [1, 1, 1]),
        (Staged(text_share=1.0), [0, 0, 0]),
    ],
)
def test_shares_of_prompts_with_vectors(curriculum, shares):
    assert [curriculum.share(done) for done in (0.0, 0.5, 1.0)] == shares


def sequences(*rows) -> Sequences:
    return Sequences(np.concatenate([*map(np.asarray, rows)]), np.cumsum([0, *map(len, rows)]))


def test_the_engine_meets_the_prompts_along_the_curriculum():
    train, steps, batch = sequences([0, 1], [2, 3], [4]), 100, 8
    found = list(training_examples(prompts(), train, Rising(), steps * batch, seed=5))
    store = ColumnStore.in_memory({name: [example[name] for example in found] for name in found[0]})
    lengths = {'inputs': 40, 'targets': 4, ITEMS: 5, HISTORY: 1, TARGET_ITEM: 1}
    batches = Batches(store, batch, lengths, seed=5)
    with_vectors = np.array([(store.lengths(ITEMS, batches.rows(step)) > 0).mean() for step in range(steps)])
    assert with_vectors[:10].mean() < 0.15 < 0.35 < with_vectors[40:60].mean() < 0.65 < 0.85
    assert with_vectors[-10:].mean() > 0.85
    staged = list(training_examples(prompts(), train, Staged(), steps * batch, seed=5))
    store = ColumnStore.in_memory({name: [example[name] for example in staged] for name in staged[0]})
    halves = [(store.lengths(ITEMS, batches.rows(step)) > 0).mean() for step in range(steps)]
    np.testing.assert_array_equal(halves, [0] * 50 + [1] * 50)
    # Each pair as often, and candidates that its user has not had beside the target.
    targets = store.scalars(TARGET_ITEM)
    assert set(targets.tolist()) == {2, 4} and (targets == 2).mean() == 0.5
    for example in found[:50]:
        if len(example[ITEMS]):
            first, *shown = example[ITEMS].tolist()
            assert len(set(shown)) == 3 and example[TARGET_ITEM][0] in shown and first not in shown


def test_candidates_are_drawn_from_what_a_user_has_not_had():
    rng = np.random.default_rng(0)
    drawn = [sorted(draw_items(rng, 5, np.array([1]), 2).tolist()) for _ in range(200)]
    assert {tuple(row) for row in drawn} == {(0, 2), (0, 3), (0, 4), (2, 3), (2, 4), (3, 4)}
    with pytest.raises(ValueError, match='all but 2 of 5'):
        draw_items(rng, 5, np.array([1, 2, 4, 4]), 3)
    with pytest.raises(ValueError, match='no training history'):
        next(training_examples(prompts(), sequences([0], [1]), Rising(), 4, seed=0))


def test_no_two_items_share_a_name():
    shown = ShownItems(['a', 'b', 'c'], ['Big  red boat', 'Big red boats', ''], [(), (), ()])
    assert item_names(shown, 12) == ['Big red boat', 'Big red boat (2)', 'Untitled item']
    assert len(set(NAMES)) == 5
