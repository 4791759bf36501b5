import dataclasses
import functools

import numpy as np
import pytest
import seqio
import tensorflow as tf

from llmrec_jax.corpora import prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.evaluation import metrics
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.collisions import resolve
from llmrec_jax.semantic_ids.token_layout import TokenLayout, encode_histories
from llmrec_jax.stages.materialise import materialise
from tasks.ranking_metrics import beam_ranks
from tasks.tiger import TigerMixture, TigerTask

MAX_ITEMS = 5


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    """A tiny corpus, random semantic IDs over it, and the task."""
    folder = tmp_path_factory.mktemp('tiger')
    source = SimulatedShop(size='tiny')
    corpus = prepare.load_corpus(prepare.prepare(source, folder / 'data'))
    random = np.random.default_rng(0).integers(0, 8, (len(corpus.items), 2)).astype(np.int32)
    codes, sizes = resolve(random, (8, 8), capacity=16)
    CodeTable(codes, sizes, {}).save(folder / 'table.npz')
    task = TigerTask(
        corpus=source,
        data_dir=str(folder / 'data'),
        code_table=str(folder / 'table.npz'),
        layout=TokenLayout(codebook_sizes=sizes, user_tokens=50),
        max_items=MAX_ITEMS,
    )
    return corpus, codes, task, folder


def expected_examples(corpus, codes, layout, split):
    """(user, target, inputs, targets) of every example, from the splits and nothing of SeqIO."""
    splits = leave_last_out(corpus)
    if split == 'train':
        cases = [
            (user, splits.train[user][:position], splits.train[user][position])
            for user in range(len(splits.train))
            for position in range(1, len(splits.train[user]))
        ]
    else:
        part = getattr(splits, split)
        cases = [(int(part.user[row]), part.histories[row], part.target[row]) for row in range(len(part))]
    for user, history, target in cases:
        tokens = layout.item_tokens(codes[history[-MAX_ITEMS:]]).reshape(-1)
        inputs = [layout.user_token(corpus.users.user_id[user]), *tokens.tolist()]
        yield user, int(target), tuple(inputs), tuple(layout.item_tokens(codes[target]).tolist())


@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_every_prefix_predicts_its_next_item_and_nothing_else_does(shop, split, tmp_path):
    corpus, codes, task, _ = shop
    store = materialise(
        task.register(),
        split,
        tmp_path / split,
        feature_lengths=task.feature_lengths,
        kept=('user', 'target_item'),
        provenance={},
    )

    def row(name, index):
        return store[index][name].tolist()

    found = [
        (row('user', i)[0], row('target_item', i)[0], tuple(row('inputs', i)), tuple(row('targets', i)))
        for i in range(len(store))
    ]
    assert sorted(found) == sorted(expected_examples(corpus, codes, task.layout, split))
    live = seqio.get_mixture_or_task(task.register()).get_dataset(task.feature_lengths, split, shuffle=False)
    for row, example in enumerate(live.as_numpy_iterator()):
        assert all((store[row][name] == example[name]).all() for name in store.features)


def test_feature_converter_and_vocabulary_agree(shop):
    _, _, task, _ = shop
    dataset = seqio.get_dataset(
        task.register(),
        task_feature_lengths=task.feature_lengths,
        dataset_split='test',
        shuffle=False,
        feature_converter=seqio.EncDecFeatureConverter(pack=False),
    )
    example = next(dataset.as_numpy_iterator())
    assert example['encoder_input_tokens'].shape == (1 + MAX_ITEMS * 3,)
    assert example['decoder_target_tokens'].shape == (3,)
    assert example['decoder_input_tokens'][0] == 0
    vocabulary = seqio.get_mixture_or_task(task.register()).output_features['inputs'].vocabulary
    text = vocabulary.decode(example['encoder_input_tokens'].tolist())
    assert text.startswith('<user_')


def test_metrics_under_seqio_are_the_librarys_own(shop):
    _, codes, task, _ = shop
    evaluator = seqio.Evaluator(
        task.register(),
        feature_converter=seqio.EncDecFeatureConverter(pack=False),
        eval_split='test',
        sequence_length=task.feature_lengths,
    )
    catalogue = task.layout.item_tokens(codes)
    draws = np.random.default_rng(1)
    ranks = []

    def predict(dataset, **_):
        predictions = []
        for index, example in dataset.as_numpy_iterator():
            beams = catalogue[draws.permutation(len(catalogue))[:10]]
            target = example['decoder_target_tokens']
            place = int(draws.integers(0, 20))
            beams = beams[(beams != target).any(axis=1)][:9]
            if place < 10:
                beams = np.insert(beams, place, target, axis=0)
            ranks.append(place + 1 if place < 10 else 0)
            # T5X hands over the best beam last.
            predictions.append((int(index), np.resize(beams, (10, 3))[::-1]))
        return [(index, beams) for index, beams in predictions]

    results, _ = evaluator.evaluate(
        compute_metrics=True, predict_fn=predict, score_fn=None, predict_with_aux_fn=None
    )
    (found,) = results.result().values()
    expected = np.asarray(ranks)
    assert found['recall@10'] == pytest.approx(metrics.recall_at_k(expected, 10).mean())
    assert found['ndcg@5'] == pytest.approx(metrics.ndcg_at_k(expected, 5).mean())


def test_a_shared_prefix_is_no_hit():
    ranks = beam_ranks(['<0_1> <1_2> <2_0>'], [['<0_1> <1_2> <2_1>', '<0_1> <1_2> <2_2>']])
    assert ranks.tolist() == [0]


def test_the_best_beam_is_the_last():
    assert beam_ranks(['b', 'a'], [['a', 'b'], ['a', 'b']]).tolist() == [1, 2]


def test_a_table_of_other_codebooks_is_refused(shop, tmp_path):
    _, codes, task, _ = shop
    path = tmp_path / 'other.npz'
    CodeTable(codes, (9, 8, 16), {}).save(path)
    other = TigerTask(task.corpus, task.data_dir, str(path), task.layout)
    with pytest.raises(ValueError, match=r'codebooks of \(9, 8, 16\)'):
        other.register()


def test_a_mixture_draws_from_all_its_tasks(shop):
    corpus, _, task, folder = shop
    second = SimulatedShop(size='tiny', seed=1)
    codes = np.stack(np.divmod(np.arange(len(corpus.items)), 64), axis=1).astype(np.int32)
    other_layout = TokenLayout(codebook_sizes=(8, 8, 16), user_tokens=50)
    codes = np.stack([codes[:, 0], codes[:, 1] // 8, codes[:, 1] % 8], axis=1).astype(np.int32)
    CodeTable(codes, (8, 8, 16), {}).save(folder / 'second.npz')
    # Of one name and size: what they are made of tells them apart.
    other = TigerTask(second, task.data_dir, str(folder / 'second.npz'), other_layout, MAX_ITEMS)
    name = TigerMixture('tiger_two_shops', (task, other)).register()
    mixture = seqio.get_mixture_or_task(name)
    sizes = {
        part.name: sum(1 for _ in part.get_dataset(split='train', shuffle=False)) for part in mixture.tasks
    }
    assert len(sizes) == 2
    assert {part: mixture.get_rate(seqio.TaskRegistry.get(part)) for part in sizes} == sizes
    examples = mixture.get_dataset(task.feature_lengths, split='train', shuffle=False, num_epochs=None)
    assert len(list(examples.take(20).as_numpy_iterator())) == 20


def test_a_name_stands_for_one_task(shop):
    _, _, task, _ = shop
    name = task.register()
    assert task.register() == name
    fewer = dataclasses.replace(task, max_items=MAX_ITEMS - 1)
    assert fewer.register() != name
    # Metrics make no other examples, and so no other name.
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(task, ks=(1,)).register()
    with pytest.raises(ValueError, match='twice'):
        TigerMixture('tiger_twice', (task, task)).register()
    TigerMixture('tiger_alone', (task,)).register()
    TigerMixture('tiger_alone', (task,)).register()
    with pytest.raises(ValueError, match='another mixture'):
        TigerMixture('tiger_alone', (fewer,)).register()


def test_without_user_tokens_no_input_has_one(shop):
    corpus, _, task, _ = shop
    layout = dataclasses.replace(task.layout, user_tokens=0)
    without = dataclasses.replace(task, layout=layout)
    assert without.feature_lengths == {'inputs': 3 * MAX_ITEMS, 'targets': 3}

    def inputs(one):
        dataset = seqio.get_mixture_or_task(one.register()).get_dataset(split='test', shuffle=False)
        return {example['user']: example['inputs'].tolist() for example in dataset.as_numpy_iterator()}

    found = inputs(without)
    assert found == {user: tokens[1:] for user, tokens in inputs(task).items()}
    test = leave_last_out(corpus).test
    users = [corpus.users.user_id[user] for user in test.user]
    histories = [test.histories[row].tolist() for row in range(len(test))]
    for one, expected in ((layout, found), (task.layout, inputs(task))):
        encoded = encode_histories(users, histories, CodeTable.load(task.code_table), one, MAX_ITEMS)
        assert [tokens.tolist() for tokens in encoded] == [expected[user] for user in test.user]
        assert {tokens.dtype for tokens in encoded} == {np.dtype(np.int32)}


def test_who_is_evaluated_has_seen_all_that_came_before(shop):
    corpus, _, task, _ = shop
    tasks = seqio.get_mixture_or_task(task.register())
    for split in ('validation', 'test'):
        part = getattr(leave_last_out(corpus), split)
        expected = {int(user): (part.histories[row] + 1).tolist() for row, user in enumerate(part.user)}
        dataset = tasks.get_dataset(task.feature_lengths, split, shuffle=False)
        assert dataset.element_spec['seen'].shape == [np.diff(corpus.user_offsets).max()]
        for example in dataset.as_numpy_iterator():
            seen = example['seen'].tolist()
            assert seen == expected[int(example['user'])] + [0] * (seen.count(0))
    assert 'seen' not in tasks.get_dataset(task.feature_lengths, 'train', shuffle=False).element_spec


def test_a_mixture_of_two_layouts_is_refused(shop):
    _, _, task, _ = shop
    other = TigerTask(task.corpus, task.data_dir, task.code_table, TokenLayout((4, 4, 4)))
    with pytest.raises(ValueError, match='must share one token layout'):
        TigerMixture('two_layouts', (task, other)).register()


def test_configuring_a_task_imports_no_tensorflow():
    import subprocess
    import sys

    code = 'import sys, tasks.tiger; assert "tensorflow" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True)


def test_task_is_serialisable_for_checkpointed_input(shop, tmp_path):
    _, _, task, _ = shop
    dataset = seqio.get_mixture_or_task(task.register()).get_dataset(
        task.feature_lengths, split='train', shuffle=False
    )
    iterator = iter(dataset)
    first = [next(iterator)['target_item'].numpy() for _ in range(5)]
    checkpoint = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / 'position'))
    following = [next(iterator)['target_item'].numpy() for _ in range(5)]
    restored = iter(dataset)
    tf.train.Checkpoint(iterator=restored).restore(checkpoint)
    assert [next(restored)['target_item'].numpy() for _ in range(5)] == following != first


def test_users_with_too_few_events_are_in_train_alone():
    from tasks.leave_last_out import _cut

    user = {'user': 0, 'user_id': 'u', 'user_hash': 1, 'events': {'item': tf.constant([4, 5])}}
    assert _cut(user, 'train')['items'].numpy().tolist() == [4, 5]
    cut = functools.partial(_cut, {**user, 'events': {'item': tf.constant([4, 5, 6])}})
    assert cut('train')['items'].numpy().tolist() == [4]
    assert cut('validation')['items'].numpy().tolist() == [4, 5]
    assert cut('test')['items'].numpy().tolist() == [4, 5, 6]
