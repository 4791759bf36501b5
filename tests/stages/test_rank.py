"""What systems that rank a catalogue are compared by."""

import numpy as np
import pytest

from llmrec_jax.stages.rank import Ranking, ranking_metrics


@pytest.mark.parametrize(
    ('changes', 'field'),
    [({'seen_items': 'hidden'}, 'Ranking.seen_items'), ({'list_length': 9}, 'Ranking.list_length')],
)
def test_what_does_not_fit_is_told_by_its_field(changes, field):
    with pytest.raises(ValueError, match=field):
        Ranking(**changes)


def test_targets_that_are_not_ranked_count_as_misses():
    ranks = [1, 0, 3, 11]
    found = ranking_metrics(np.array(ranks), (1, 10))
    assert found['recall@1'] == 0.25 and found['recall@10'] == 0.5
    assert found['ndcg@10'] == pytest.approx((1 + 0.5) / 4)
