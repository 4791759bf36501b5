"""TensorFlow and plain Python write the same bytes."""

import functools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import seqio
import tensorflow as tf

from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.p5 import direct
from llmrec_jax.prompts.p5.data import P5
from llmrec_jax.prompts.p5.groups import RATES, P5Prompts
from llmrec_jax.prompts.records.histories import asked_candidates
from llmrec_jax.prompts.records.words import tables_for
from llmrec_jax.prompts.template import Listing, Template
from llmrec_jax.prompts.tf_prompts import TENSORFLOW, TemplateWriter, prompt_examples, records_dataset
from tests.prompts.corpora import corpus_of

# Right-to-left text, combining marks, joiners, an emoji of four code points, NUL, braces, per cent, quotes.
AWKWARD = (
    'عطر', 'e\u0301clair', 'न\u094d\u200dय', '👩\u200d👩\u200d👧', 'a\x00', '{title}', '{{',
    '%s %(x)s', '"\'', '', '\ud7ff\ue000\uffff', '\U0010ffff', 'tab\tand\nline', '日本語のタイトル',
)  # fmt: skip

_texts = st.text(max_size=12)
_lists = st.integers(0, 4).flatmap(
    lambda length: st.tuples(*[st.lists(_texts, min_size=length, max_size=length)] * 2)
)
_literals = st.text(max_size=8).map(lambda text: text.replace('{', '{{').replace('}', '}}'))


@st.composite
def _patterns(draw, fields):
    """Literals with any of the fields between them, in any number."""
    named = draw(st.lists(st.sampled_from(fields), max_size=4))
    return draw(_literals) + ''.join(f'{{{field}}}{draw(_literals)}' for field in named)


@st.composite
def _wordings(draw):
    """Two patterns, the pattern of the elements of a list, and the separator between them."""
    inputs = draw(_patterns(('one', 'two'))) + '{items}'
    targets = draw(_patterns(('one', 'two', 'items')))
    each = '{number}' + draw(_patterns(('one', 'left'))) + '{right}'
    return inputs, targets, each, draw(st.sampled_from([', ', '{one}', '']))


@hypothesis.given(
    wordings=st.lists(_wordings(), min_size=1, max_size=4),
    one=_texts,
    two=_texts,
    lists=_lists,
)
@hypothesis.settings(max_examples=25)
def test_any_template_filled_with_any_text_is_written_alike(wordings, one, two, lists):
    fields = {'one': one, 'two': two, 'left': lists[0], 'right': lists[1]}
    texts = {
        name: TENSORFLOW.texts(value) if isinstance(value, list) else tf.constant(value.encode())
        for name, value in fields.items()
    }
    templates = [
        Template(str(row), 'family', 'group', inputs, targets, lists={'items': Listing(each, separator)})
        for row, (inputs, targets, each, separator) in enumerate(wordings)
    ]
    write = TemplateWriter(tuple(templates))
    for row, template in enumerate(templates):
        written = write(texts, tf.constant(row))
        prompt = template.render(fields)
        assert written['inputs'].numpy() == prompt.inputs.encode()
        assert written['targets'].numpy() == prompt.targets.encode()
        assert written['template'].numpy() == template.id.encode()


@pytest.fixture(scope='module')
def awkward():
    """P5 over a corpus whose every text is awkward."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(30)[: 1 + user].tolist() for user in range(12)]
    count = sum(map(len, histories))
    titles = [f'{AWKWARD[row % len(AWKWARD)]}{AWKWARD[-row % len(AWKWARD)]}' for row in range(30)]
    reviews = [f'{AWKWARD[row % len(AWKWARD)]} good sound. I like the sound. {row}' for row in range(count)]
    corpus = corpus_of(histories, titles, reviews=reviews, profiles=list(AWKWARD[:12]))
    p5 = P5(prompts=P5Prompts(candidates=12, max_history=4), called='profile', review_split='random')
    return p5.build(corpus)


@pytest.mark.parametrize('name', [name for name in RATES if name != 'zero_shot_transfer'])
def test_every_group_writes_alike_over_awkward_texts(awkward, name):
    group, records = awkward.training_groups[name], awkward.records['train'][name]
    tables = tables_for(NUMPY, awkward.tables)
    dataset = prompt_examples(
        records_dataset(records, epochs=2), group, tables_for(TENSORFLOW, awkward.tables), seed=5
    )
    written = list(dataset.as_numpy_iterator())
    order = [
        (epoch, record, repetition)
        for epoch in range(2)
        for record in range(len(records))
        for repetition in range(group.rate)
    ]
    assert [(row['epoch'], row['record'], row['repetition']) for row in written] == order
    for (epoch, record, repetition), in_tf in list(zip(order, written))[::7]:
        plain = group.example(records[record], tables, seed=5, epoch=epoch, repetition=repetition)
        for key, value in plain.items():
            value = value.encode() if isinstance(value, str) else value
            np.testing.assert_array_equal(value, in_tf[key])


def test_an_example_is_a_function_of_seed_epoch_record_and_repetition(awkward):
    name = 'sequential_candidates'
    record, tables = awkward.records['train'][name][5], tables_for(NUMPY, awkward.tables)

    def write(**changed):
        numbers = {'seed': 1, 'epoch': 2, 'repetition': 3, **changed}
        return awkward.training_groups[name].example(record, tables, **numbers)['inputs']

    assert write() == write()
    assert len({write(), write(seed=2), write(epoch=3), write(repetition=4)}) == 4


def test_shuffled_and_sharded_records_give_the_same_examples(awkward):
    group, records = (
        awkward.training_groups['explanation_sentence'],
        records_dataset(awkward.records['train']['explanation_sentence']),
    )
    tables = tables_for(TENSORFLOW, awkward.tables)

    def written(dataset):
        examples = prompt_examples(dataset, group, tables, seed=7).as_numpy_iterator()
        return {int(row['record']): row['inputs'] for row in examples}

    everything = written(records)
    part = written(records.shuffle(100, seed=1).shard(2, 1))
    assert 0 < len(part) < len(everything) and part.items() <= everything.items()


def test_prompts_are_preprocessors_of_a_seqio_task(awkward):
    name = 'review_review'
    records, tables = awkward.records['train'][name], tables_for(TENSORFLOW, awkward.tables)
    feature = seqio.Feature(seqio.ByteVocabulary(), add_eos=True, required=True)
    task = seqio.Task(
        'prompts_of_the_family_review',
        source=seqio.FunctionDataSource(
            lambda split, shuffle_files, seed=None: records_dataset(records), splits=('train',)
        ),
        preprocessors=[
            functools.partial(prompt_examples, group=awkward.training_groups[name], tables=tables, seed=5),
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos,
        ],
        output_features={'inputs': feature, 'targets': feature},
    )
    dataset = task.get_dataset(sequence_length=None, split='train', shuffle=False)
    plain = awkward.training_groups[name].examples(records, tables_for(NUMPY, awkward.tables), seed=5)
    for tokens, example in list(zip(dataset.as_numpy_iterator(), plain))[:10]:
        for side in ('inputs', 'targets'):
            # Bytes follow padding, end and unknown.
            assert tokens[side].tolist() == [byte + 3 for byte in example[side].encode()] + [1]


def test_questions_about_given_items_are_written_alike(awkward):
    group = direct.asked(awkward.evaluation_groups['direct_yes_no'])
    cases = awkward.records['test']['direct_candidates'].take(np.arange(2))
    records = asked_candidates(cases, 30, candidates=4, seed=1)
    dataset = prompt_examples(records_dataset(records), group, tables_for(TENSORFLOW, awkward.tables), seed=1)
    plain = group.examples(records, tables_for(NUMPY, awkward.tables), seed=1)
    for in_tf, example in zip(dataset.as_numpy_iterator(), plain, strict=True):
        assert in_tf['inputs'] == example['inputs'].encode()
        assert in_tf['targets'] == example['targets'].encode()
