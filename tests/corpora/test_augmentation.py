"""Copies of histories: one piece of each, its items near where they stood, the same by the same key."""

import numpy as np
import pytest

from llmrec_jax.corpora.augmentation import CropAndShuffle
from llmrec_jax.runs.run import Run
from llmrec_jax.stages import tasks
from llmrec_jax.systems.generative_sequential.training_stages import PACKED_EXAMPLES, PackHistories
from llmrec_jax.training.columns import write_columns

HISTORY = np.arange(1, 21)


def copies(augmentation, number=300):
    return [augmentation.copy(HISTORY, np.random.default_rng([0, key])) for key in range(number)]


def test_a_copy_is_one_piece_of_the_history():
    found = copies(CropAndShuffle(least=0.4, shuffled=0.0))
    assert all((np.diff(one) == 1).all() for one in found)
    assert {len(one) for one in found} == set(range(8, 21))
    assert {one[0] for one in found} >= set(range(1, 12))
    np.testing.assert_array_equal(CropAndShuffle().copy(HISTORY[:2], np.random.default_rng(0))[[0]] > 0, True)


def test_items_move_fewer_places_than_the_reach():
    found = copies(CropAndShuffle(least=1.0, shuffled=1.0, reach=3))
    moved = np.abs(np.stack(found) - HISTORY)
    assert moved.max() == 2 and all(sorted(one) == HISTORY.tolist() for one in found)
    changed = [(np.diff(one) != 1).any() for one in copies(CropAndShuffle(least=1.0, shuffled=0.3))]
    assert 0.2 < np.mean(changed) < 0.4


def test_copies_are_packed_beside_the_histories(tmp_path):
    rows = [np.array(row, np.int32) for row in ([1, 2, 3], [4, 5], [6, 7, 8, 9])]
    write_columns(Run(tmp_path).path(tasks.examples('train')), {'items': rows}, {})
    found = {}
    for name, augmentation in (('none', None), ('some', CropAndShuffle(copies=2, least=1.0, shuffled=0.0))):
        run = Run(tmp_path)
        facts = PackHistories(4, augmentation=augmentation).run(run)
        tokens = np.concatenate([run[PACKED_EXAMPLES][row]['targets'] for row in range(facts['rows'])])
        found[name] = np.bincount(tokens, minlength=10)
    assert found['none'].tolist() == [0, 0, 1, 1, 0, 1, 0, 1, 1, 1]
    np.testing.assert_array_equal(found['some'], 3 * found['none'])


@pytest.mark.parametrize('changes', [{'copies': 0}, {'least': 0.0}, {'shuffled': 1.5}, {'reach': 0}])
def test_what_is_out_of_range_is_refused(changes):
    [(name, value)] = changes.items()
    with pytest.raises(ValueError, match=f'{name}={value}'):
        CropAndShuffle(**changes)
