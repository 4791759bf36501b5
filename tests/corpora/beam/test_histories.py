"""What the pipeline does to single histories is what the in-memory road does to columns."""

import functools
import pathlib

import hypothesis
import hypothesis.strategies as st
import numpy as np

from llmrec_jax.corpora import id_order
from llmrec_jax.corpora.beam import histories
from llmrec_jax.corpora.raw_events import RawEvents, time_order, without_duplicates

ROWS = st.lists(
    st.tuples(
        st.sampled_from(['ann', 'bob', 'cat']), st.sampled_from(['2', '10', '9', '31']), st.integers(0, 3)
    ),
    min_size=1,
    max_size=40,
)


@hypothesis.given(ROWS, st.sampled_from(['file_order', 'item_id', 'shuffled']))
def test_events_are_told_once_counted_and_ordered_as_in_memory(rows, ties):
    users, items, times = zip(*rows)
    nothing = [''] * len(rows)
    raw = RawEvents(
        np.arange(len(rows)), users, items, np.asarray(times), np.zeros(len(rows)), nothing, nothing
    )
    once = without_duplicates(raw, pathlib.Path('x'), 'keep_first')
    user, item = once.user_id.encode()[1], once.item_id.encode()[1]
    order = time_order(user, once.timestamp, once.item_id, 'file_order', 0)
    neighbours = id_order.tied_neighbours(user[order], once.timestamp[order])

    found = []
    for name in once.user_id.encode()[0]:
        events = [
            histories.Event(histories.position(0, row), items[row], times[row], 0.0, '', '')
            for row in reversed(range(len(rows)))
            if users[row] == name
        ]
        found.append(histories.history_of(name, events, has_times=True)[0])
    ids = sorted(set(items))
    ranks = dict(zip(ids, zip(*(rank.tolist() for rank in id_order.ranks(ids)))))
    counts = histories.summed(histories.order_counts(history, ranks) for history in found)
    assert counts == histories.OrderCounts.from_json(counts.to_json())
    assert counts.tied / len(once) == id_order.tied_share(neighbours)
    assert counts.follow_ids == id_order.follows_ids(user, item, once.item_id.encode()[0], order, neighbours)

    shuffled = dict(zip(once.line.tolist(), np.random.default_rng(5).permutation(len(once)).tolist()))
    rank = {
        'file_order': lambda event: event.position,
        'item_id': lambda event: event.item,
        'shuffled': lambda event: shuffled[event.position],
    }[ties]
    listed = [event.position for history in found for event in histories.in_time_order(history, rank)]
    expected = time_order(user, once.timestamp, once.item_id, ties, 5)
    assert listed == once.line[expected].tolist()


def test_a_history_leaves_the_core_with_too_few_events():
    events = [histories.Event(place, item, place, 0.0, '', '') for place, item in enumerate('aab')]
    keep = functools.partial(histories.kept, histories.History('ann', events))
    assert [event.item for event in keep({'a'}, 2).events] == ['a', 'a']
    assert keep({'b'}, 2) is None
    assert keep(set(), 0) is None
    assert keep(None, 3).events == events


def test_a_position_tells_part_and_row():
    assert histories.place(histories.position(3, 41)) == (3, 41)
    assert histories.position(0, 10**9) < histories.position(1, 0)


def test_an_event_without_clock_comes_again_never():
    events = [histories.Event(place, 'pen', 0, 0.0, '', '') for place in (4, 2, 3)]
    history, again = histories.history_of('ann', events, has_times=False)
    assert [(event.position, event.ticks) for event in history.events] == [(2, 0), (3, 1), (4, 2)]
    assert again == []
