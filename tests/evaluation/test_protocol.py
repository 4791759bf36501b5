import json

import pytest

from llmrec_jax.evaluation.protocol import Protocol


def test_a_protocol_names_every_switch():
    named = json.loads(json.dumps(Protocol(seen_items='removed', ks=[1, 5]).as_dict()))
    assert named['seen_items'] == 'removed'
    assert named['ties'] == 'pessimistic'
    assert named['candidates'] == 'full_catalogue'
    assert named['ks'] == [1, 5]


@pytest.mark.parametrize(
    ('switch', 'value'),
    [('split', 'train'), ('seen_items', 'hidden'), ('ks', ()), ('ks', (0,)), ('ks', (10, 5)), ('ks', (5, 5))],
)
def test_a_switch_without_that_position_is_refused(switch, value):
    with pytest.raises(ValueError, match=f'Protocol.{switch}'):
        Protocol(**{switch: value})
