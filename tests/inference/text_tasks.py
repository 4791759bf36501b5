"""SeqIO tasks over a text that is in memory, with a SentencePiece vocabulary of it, trained on import."""

import functools
import io
import random

import numpy as np
import sentencepiece
import seqio
import tensorflow as tf

COLOURS = ('red', 'green', 'blue', 'amber', 'violet')
KINDS = ('lamp', 'chair', 'kettle', 'scarf')
SIZES = {'train': 240, 'validation': 37}
VOCABULARY_FILE = 'ram://text_tasks/sentencepiece.model'


def texts(split: str) -> list[tuple[str, str]]:
    """Histories of one to six things, and what comes next: the newest in the colour after its own."""
    draw = random.Random(split)
    rows = []
    for _ in range(SIZES[split]):
        history = [(draw.choice(COLOURS), draw.choice(KINDS)) for _ in range(draw.randint(1, 6))]
        colour, kind = history[-1]
        after = COLOURS[(COLOURS.index(colour) + 1) % len(COLOURS)]
        rows.append((', '.join(map(' '.join, history)), f'{after} {kind}'))
    return rows


def _train_vocabulary() -> seqio.SentencePieceVocabulary:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for row in texts('train') for text in row]),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    with tf.io.gfile.GFile(VOCABULARY_FILE, 'wb') as file:
        file.write(model.getvalue())
    return seqio.SentencePieceVocabulary(VOCABULARY_FILE)


VOCABULARY = _train_vocabulary()


def _dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
    del shuffle_files, seed
    rows = texts(split)
    return tf.data.Dataset.from_tensor_slices(
        {
            'inputs': [row[0] for row in rows],
            'targets': [row[1] for row in rows],
            'user': list(range(len(rows))),
        }
    )


@seqio.map_over_dataset(num_seeds=1)
def forget(example, seed):
    """Drops each word of the input with probability one half, but the last."""
    words = tf.strings.split(example['inputs'], ' ')
    kept = tf.random.stateless_uniform(tf.shape(words), seed) < 0.5
    kept = tf.concat([kept[:-1], [True]], axis=0)
    return {**example, 'inputs': tf.strings.reduce_join(words[kept], separator=' ')}


def exact_match(targets, predictions):
    return {'exact_match': float(np.mean([one == other for one, other in zip(targets, predictions)]))}


def mean_likelihood(targets, scores):
    assert len(targets) == len(scores)
    return {'mean_likelihood': float(np.mean(scores))}


def _register(name: str, *preprocessors, metric_fns=()) -> None:
    feature = seqio.Feature(VOCABULARY, add_eos=True)
    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(_dataset, splits=list(SIZES), num_input_examples=SIZES),
        preprocessors=[
            *preprocessors,
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={'inputs': feature, 'targets': feature},
        metric_fns=list(metric_fns),
    )


_register('next_thing')
_register('judged_thing', metric_fns=(exact_match, mean_likelihood))
_register('next_thing_of_a_forgetful_shop', forget)
_register('colours_alone', functools.partial(tf.data.Dataset.filter, predicate=lambda row: row['user'] < 20))
seqio.MixtureRegistry.add('things', [('next_thing', 3), ('colours_alone', 1)])
seqio.MixtureRegistry.add('judged_things', [('judged_thing', 1), ('colours_alone', 1)])
