"""`python -m llmrec_jax.materialise`: what is kept is what the live task gives."""

import re

import numpy as np
import pytest
import seqio
import tensorflow as tf

from llmrec_jax.materialise import main
from llmrec_jax.stages.kept_vocabulary import kept_vocabulary
from llmrec_jax.stages.materialise import padding_free
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.packing import companions
from tasks.text_table import text_table
from tests.inference.text_tasks import VOCABULARY

MODULE = '--module=tests.inference.text_tasks'
LENGTHS = {'inputs': 32, 'targets': 8}
TRIM = ('--feature_lengths', 'inputs=32', 'targets=8')


@pytest.fixture
def write(tmp_path):
    """Runs the launcher; gives the store."""

    def run(*flags, task='next_thing', split='train', output='store'):
        flags = (f'--task={task}', f'--split={split}', f'--output={tmp_path / output}', MODULE, *flags)
        main(flags)
        return ColumnStore.open(tmp_path / output)

    return run


def live(task, split='train', examples=-1, **arguments):
    arguments = {'sequence_length': LENGTHS, 'seed': 0, **arguments}
    dataset = seqio.get_mixture_or_task(task).get_dataset(split=split, shuffle=False, **arguments)
    return [
        tuple(tuple(row[name].tolist()) for name in LENGTHS)
        for row in dataset.take(examples).as_numpy_iterator()
    ]


def kept(store):
    return [tuple(tuple(store[row][name].tolist()) for name in LENGTHS) for row in range(len(store))]


@pytest.mark.parametrize('split', ['train', 'validation'])
def test_kept_equals_live_in_order(write, split):
    store = write(*TRIM, '--keep', 'user', '--num_shards=5', split=split)
    assert kept(store) == live('next_thing', split)
    assert store.scalars('user').tolist() == list(range(len(store)))
    # The manifest, the vocabulary, and of each shard its columns and checksums.
    assert len(list(store.directory.iterdir())) == 2 + 5 * (3 * 2 + 1)


def test_a_task_that_draws_gives_its_examples_anew_in_every_epoch_and_the_same_in_every_run(write):
    task = 'next_thing_of_a_forgetful_shop'
    store = write(*TRIM, '--epochs=2', '--seed=7', task=task)
    found = kept(store)
    assert found == live(task, seed=7, num_epochs=2)
    assert found[:240] != found[240:] and len(found) == 480
    assert write(*TRIM, '--epochs=2', '--seed=7', task=task, output='again').fingerprint == store.fingerprint
    assert write(*TRIM, '--epochs=2', '--seed=8', task=task, output='other').fingerprint != store.fingerprint


def test_a_mixture_gives_as_many_examples_as_asked_by_its_rates(write):
    drawn = write(*TRIM, '--examples=400', '--keep', 'user', task='things')
    assert kept(drawn) == live('things', num_epochs=None, examples=400)
    few = set(live('colours_alone'))
    share = np.mean([example in few for example in kept(drawn)])
    assert len(drawn) == 400 and share == pytest.approx(1 / 4 + 3 / 4 * 20 / 240, abs=0.08)


def test_the_store_says_what_it_was_made_from(write):
    store = write(*TRIM)
    found = store.manifest['provenance']
    assert (found['task'], found['split'], found['feature_lengths']) == ('next_thing', 'train', LENGTHS)
    assert (found['seed'], found['epochs'], found['examples'], found['packed']) == (0, 1, 240, False)
    assert found['vocabularies']['inputs']['class'].endswith('SentencePieceVocabulary')
    assert len(found['vocabularies']['inputs']['sha256']) == 64
    assert found['versions'].keys() == {'llmrec_jax', 'seqio', 'tensorflow', 'sentencepiece'}
    assert (store.directory / 'manifest.json').read_bytes() == (
        write(*TRIM, output='again').directory / 'manifest.json'
    ).read_bytes()


def test_packed_rows_hold_the_live_examples_with_less_padding(write, capfd):
    room = {'inputs': 64, 'targets': 16}
    plain = write(*TRIM)
    packed = write('--feature_lengths', 'inputs=64', 'targets=16', '--packing', output='packed')
    examples = [
        tuple(tuple(row[name][row[companions(name)[0]] == segment].tolist()) for name in LENGTHS)
        for row in map(packed.__getitem__, range(len(packed)))
        for segment in range(1, row['inputs_segment_ids'].max() + 1)
    ]
    assert sorted(examples) == sorted(live('next_thing', sequence_length=room))
    before, after = (padding_free(store, room)['inputs'] for store in (plain, packed))
    assert after > 0.75 > 0.4 > before
    assert f'inputs: {100 * after:.1f} % of 64 tokens a row are no padding' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (('--task=next_things',), "no task or mixture 'next_things' .* did you mean 'next_thing'"),
        (('--split=test',), "has no split 'test'; its splits are train, validation"),
        (('--module=nowhere.at_all',), "--module=nowhere.at_all: No module named 'nowhere'"),
        (('--task=things',), "'things' is a mixture, which has no end of its own"),
        (('--keep', 'item'), "has no field 'item'; its fields are inputs, "),
        (
            ('--keep', 'inputs_pretokenized'),
            "field 'inputs_pretokenized' is .*string.*; columns hold integers",
        ),
        (('--packing',), 'packing needs feature lengths for inputs, targets, got None'),
        ((*TRIM, '--packing', '--keep', 'user'), 'keeps no other field'),
        (('--feature_lengths', 'inputs'), "--feature_lengths 'inputs': write FEATURE=TOKENS"),
        (('--num_shards=0',), '--num_shards=0 must be at least 1'),
        (('--gin_file=a.gin',), 'give a --task, or a --gin_file'),
    ],
)
def test_what_cannot_be_written_ends_with_one_message_and_leaves_what_was_there(
    write, tmp_path, capsys, flags, message
):
    (tmp_path / 'store').mkdir()
    with pytest.raises(SystemExit):
        write(*flags)
    said = capsys.readouterr().err.strip().splitlines()
    assert re.search(message, said[-1]), said
    assert 'Traceback' not in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ['store']


def test_an_example_that_cannot_be_made_is_told_by_its_file_and_number(tmp_path, write, capsys):
    (tmp_path / 'lines.tsv').write_text('a\tb\nred lamp\tgreen lamp\nno answer\n')

    @seqio.map_over_dataset
    def parse(line):
        inputs, targets = tf.unstack(tf.strings.split(line, '\t'), num=2)
        return {'inputs': inputs, 'targets': targets}

    seqio.TaskRegistry.add(
        'pairs_parsed',
        source=seqio.TextLineDataSource({'train': str(tmp_path / 'lines.tsv')}, skip_header_lines=1),
        preprocessors=[parse, seqio.preprocessors.tokenize],
        output_features=dict.fromkeys(('inputs', 'targets'), seqio.Feature(VOCABULARY)),
    )
    with pytest.raises(SystemExit):
        write(task='pairs_parsed')
    said = capsys.readouterr().err
    assert f"example 2 of task 'pairs_parsed' of {tmp_path / 'lines.tsv'}" in said
    assert len(said.splitlines()) == 1 and not (tmp_path / 'store').exists()
    seqio.TaskRegistry.remove('pairs_parsed')


def test_a_table_of_texts_is_a_source(tmp_path, write):
    (tmp_path / 'pairs.tsv').write_text('red lamp\tgreen lamp\nblue chair\tamber chair\n')
    seqio.TaskRegistry.add(
        'pairs',
        source=text_table({'train': tmp_path / 'pairs.tsv'}),
        preprocessors=[seqio.preprocessors.tokenize],
        output_features=dict.fromkeys(('inputs', 'targets'), seqio.Feature(VOCABULARY)),
    )
    found = [[VOCABULARY.decode(list(tokens)) for tokens in row] for row in kept(write(task='pairs'))]
    assert found == [['red lamp', 'green lamp'], ['blue chair', 'amber chair']]
    seqio.TaskRegistry.remove('pairs')


def test_the_vocabulary_lies_beside_the_examples(write):
    store = write()
    found = kept_vocabulary(store.directory)
    assert found.with_extra_ids == VOCABULARY.sp_model and found.extra_ids == VOCABULARY.extra_ids
    assert found.encode('red lamp') == VOCABULARY.encode('red lamp')
    (path,) = store.directory.glob('*.model')
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=path.name):
        kept_vocabulary(store.directory)
    path.unlink()
    assert kept_vocabulary(store.directory) is None
    assert kept_vocabulary(store.directory / 'gone') is None
