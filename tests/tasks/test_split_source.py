"""Histories as SeqIO gives them under every split, against the splits and nothing of SeqIO."""

import dataclasses

import numpy as np
import pytest
import seqio

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.drawn_splits import ByUser, FewShot, RandomEvents
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, GlobalTemporal, UserTemporal, split_by
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from tasks.leave_last_out import LeaveLastOutSource
from tasks.sequential import SequentialTask
from tasks.split_source import SplitSource
from tasks.tiger import TigerTask

RULES = (GlobalTemporal(0.6, 0.8), UserTemporal(), ByUser(), RandomEvents(), FewShot(share=0.2))


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp('split_source')
    prepared = prepare.prepare(SimulatedShop(size='tiny'), folder)
    return folder, prepared, prepare.load_corpus(prepared)


def as_plain(example):
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in example.items()
    }


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_in_memory_and_in_the_stream_leave_last_out_is_the_same(shop, split):
    _, prepared, corpus = shop
    streamed = LeaveLastOutSource(prepared.users_name, str(prepared.data_dir))
    in_memory = SplitSource(split_by(LEAVE_LAST_OUT, corpus), corpus.users.user_id)
    rows = [
        sorted(
            map(as_plain, source.get_dataset(split, shuffle=False).as_numpy_iterator()),
            key=lambda one: one['user'],
        )
        for source in (streamed, in_memory)
    ]
    assert rows[0] == rows[1]
    assert streamed.training_pairs == in_memory.training_pairs
    assert streamed.longest_history == in_memory.longest_history


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.name)
def test_a_sequential_task_learns_from_the_training_part_alone(shop, rule):
    folder, _, corpus = shop
    longest = int(np.diff(corpus.user_offsets).max())
    task = SequentialTask(SimulatedShop(size='tiny'), str(folder), longest, split=rule)
    name = task.register()
    assert name != dataclasses.replace(task, split=LEAVE_LAST_OUT).register()
    splits = split_by(rule, corpus)
    found = {
        split: dataset_of(name, split, task.feature_lengths) for split in ('train', 'validation', 'test')
    }
    assert {row['user']: (row['items'] - 1).tolist() for row in found['train']} == {
        user: items.tolist() for user in range(len(splits.train)) if len(items := splits.train[user]) > 1
    }
    for split in ('validation', 'test'):
        cases = getattr(splits, split)
        expected = {
            int(user): ([*cases.histories[row], target], cases.histories[row].tolist())
            for row, (user, target) in enumerate(zip(cases.user, cases.target.tolist()))
        }
        assert expected == {
            row['user']: ((row['items'] - 1).tolist(), (row['seen'][row['seen'] > 0] - 1).tolist())
            for row in found[split]
        }


def dataset_of(name, split, lengths):
    dataset = seqio.get_mixture_or_task(name).get_dataset(lengths, split, shuffle=False)
    return list(dataset.as_numpy_iterator())


def test_tiger_learns_from_the_training_part_alone(shop):
    folder, _, corpus = shop
    n_items = len(corpus.items)
    codes = np.stack([np.arange(n_items) // 16, np.arange(n_items) % 16], axis=1)
    CodeTable(codes, (16, 16), {}).save(folder / 'table.npz')
    rule = GlobalTemporal(0.6, 0.8)
    task = TigerTask(
        SimulatedShop(size='tiny'),
        str(folder),
        str(folder / 'table.npz'),
        TokenLayout((16, 16), 50),
        8,
        split=rule,
    )
    splits = split_by(rule, corpus)
    name = task.register()
    pairs = [
        (int(row['user']), int(row['target_item'])) for row in dataset_of(name, 'train', task.feature_lengths)
    ]
    assert sorted(pairs) == sorted(
        (user, int(item)) for user in range(len(splits.train)) for item in splits.train[user][1:]
    )
    asked = [
        (int(row['user']), int(row['target_item'])) for row in dataset_of(name, 'test', task.feature_lengths)
    ]
    assert asked == list(zip(splits.test.user.tolist(), splits.test.target.tolist()))
