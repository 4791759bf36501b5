"""Prompts inside tf.data: the same examples as `prompt_group` writes, byte for byte.

`TensorFlowOps` is `array_ops.ArrayOps` in TensorFlow's own operations, which tf.data runs in its threads.
"""

import functools
from collections.abc import Mapping

import tensorflow as tf

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.array_ops import ArrayOps
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.prompts.template import NUMBER, Listing, Template, parse, pattern_fields


class TensorFlowOps(ArrayOps):
    """The tf.data side; see `array_ops.ArrayOps`."""

    def integers(self, values):
        """See `ArrayOps`."""
        return tf.cast(values, tf.int64)

    def bits(self, values):
        """See `ArrayOps`."""
        # A Python integer may be larger than any signed one.
        return (
            tf.constant([values], tf.uint64)
            if isinstance(values, int)
            else tf.reshape(tf.cast(values, tf.uint64), [-1])
        )

    def xor(self, left, right):
        """See `ArrayOps`."""
        return tf.bitwise.bitwise_xor(left, right)

    def shift_right(self, values, places):
        """See `ArrayOps`."""
        return tf.bitwise.right_shift(values, tf.constant(places, tf.uint64))

    def arange(self, length):
        """See `ArrayOps`."""
        return tf.range(tf.cast(length, tf.int64), dtype=tf.int64)

    def size(self, values):
        """See `ArrayOps`."""
        return tf.size(values, out_type=tf.int64)

    def minimum(self, left, right):
        """See `ArrayOps`."""
        return tf.minimum(left, right)

    def maximum(self, left, right):
        """See `ArrayOps`."""
        return tf.maximum(left, right)

    def choose(self, condition, yes, no):
        """See `ArrayOps`."""
        return tf.where(condition, yes, no)

    def concat(self, parts):
        """See `ArrayOps`."""
        return tf.concat(parts, axis=0)

    def take(self, values, rows):
        """See `ArrayOps`."""
        return tf.gather(values, rows)

    def keep(self, values, wanted):
        """See `ArrayOps`."""
        return tf.boolean_mask(values, wanted)

    def position(self, ascending, values):
        """See `ArrayOps`."""
        return tf.searchsorted(ascending, values, out_type=tf.int64)

    def texts(self, values):
        """See `ArrayOps`."""
        return tf.constant([text.encode() for text in values], tf.string, shape=[len(values)])

    def require(self, condition, message):
        """See `ArrayOps`."""
        tf.debugging.Assert(condition, [message])


TENSORFLOW = TensorFlowOps()


def prompt_examples(
    records: tf.data.Dataset,
    group: PromptGroup,
    tables: Mapping[str, tf.Tensor],
    *,
    seed: int,
) -> tf.data.Dataset:
    """Asks every record `group.rate` times.

    Before: the columns of one record, `record` (its number) and `epoch` (of which pass over the records)
    among them, as int64; see `records_dataset`. After: `inputs`, `targets` and `template` (bytes), the form's
    features, and `record`, `epoch` and `repetition` (int64), of which the example is a function together with
    the seed. The order is that of the records.

    Args:
      records: a data set.
      group: templates and form.
      tables: see `prompt_group.Form`; made with `TENSORFLOW`.
      seed: of the draws.
    """
    write = TemplateWriter(group.templates)

    # Forms branch on nothing that is drawn, and converting their text takes longer than tracing them.
    @tf.autograph.experimental.do_not_convert
    def ask(record, repetition):
        draws = Draws.of(
            TENSORFLOW,
            group=group.name,
            seed=seed,
            epoch=record['epoch'],
            record=record['record'],
            repetition=repetition,
        )
        filling = group.form(record, tables, draws)
        chosen = group.draw_template(draws)[0]
        return {
            **write(filling.texts, chosen),
            **filling.features,
            'record': record['record'],
            'epoch': record['epoch'],
            'repetition': repetition,
        }

    def repeated(record):
        return tf.data.Dataset.range(group.rate).map(lambda repetition: (record, repetition))

    return records.flat_map(repeated).map(ask, num_parallel_calls=tf.data.AUTOTUNE)


def records_dataset(records: Records, epochs: int = 1) -> tf.data.Dataset:
    """The records in their order, epoch by epoch, as int64 and bytes.

    Args:
      records: the table.
      epochs: passes over it; the column `epoch` tells them apart, so that each has draws of its own.
    """

    def column(values):
        if isinstance(values, Sequences):
            flat, offsets = tf.constant(values.values, tf.int64), tf.constant(values.offsets, tf.int64)
            return lambda row: flat[offsets[row] : offsets[row + 1]]
        table = TENSORFLOW.texts(values) if isinstance(values, list) else tf.constant(values, tf.int64)
        return lambda row: table[row]

    columns = {name: column(values) for name, values in records.columns.items()}

    def of_place(place):
        row = place % len(records)
        read = {name: of_row(row) for name, of_row in columns.items()}
        return {**read, 'record': row, 'epoch': place // len(records)}

    return tf.data.Dataset.range(epochs * len(records)).map(of_place, num_parallel_calls=tf.data.AUTOTUNE)


class TemplateWriter:
    """Writes out whichever of some templates is chosen.

    The patterns stand in a table of literals and a table of fields, one row a template, so that a draw picks
    a row and no branch is taken, however many templates there are.

    Args:
      templates: those to choose from.
    """

    def __init__(self, templates: tuple[Template, ...]):
        self._lists = {
            (name, listing.each, listing.separator): listing
            for template in templates
            for name, listing in template.lists.items()
        }
        self._scalars = sorted(
            {
                field
                for template in templates
                for pattern in (template.inputs, template.targets)
                for field in pattern_fields(pattern) - set(template.lists)
            }
        )
        self._ids = [template.id for template in templates]
        self._patterns = {
            side: self._table([(template, getattr(template, side)) for template in templates])
            for side in ('inputs', 'targets')
        }

    def __call__(self, texts: Mapping[str, tf.Tensor], chosen: tf.Tensor) -> dict[str, tf.Tensor]:
        """`inputs`, `targets` and `template` of the template at row `chosen`."""
        values = tf.stack(
            [
                '',
                *(tf.convert_to_tensor(texts[field]) for field in self._scalars),
                *(_write_list(listing, texts) for listing in self._lists.values()),
            ]
        )
        written = {'template': tf.gather(tf.constant(self._ids), chosen)}
        for side, (literals, fields) in self._patterns.items():
            pieces = tf.stack(
                [tf.gather(tf.constant(literals), chosen), tf.gather(values, tf.gather(fields, chosen))],
                axis=1,
            )
            written[side] = tf.strings.reduce_join(tf.reshape(pieces, [-1]))
        return written

    def _table(self, patterns: list[tuple[Template, str]]) -> tuple[list[list[bytes]], list[list[int]]]:
        """Literals and rows of fields of each pattern; row 0 is the empty text, which also fills up."""
        width = max(1, *(len(parse(pattern)) for _, pattern in patterns))
        literals, fields = [], []
        for template, pattern in patterns:
            pieces = parse(pattern)
            padding = width - len(pieces)
            literals.append([piece.literal.encode() for piece in pieces] + [b''] * padding)
            fields.append([self._row(template, piece.field) for piece in pieces] + [0] * padding)
        return literals, fields

    def _row(self, template: Template, field: str | None) -> int:
        if field is None:
            return 0
        if field in template.lists:
            listing = template.lists[field]
            key = (field, listing.each, listing.separator)
            return 1 + len(self._scalars) + list(self._lists).index(key)
        return 1 + self._scalars.index(field)


def _write(pattern: str, texts: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """A pattern; elementwise where fields are vectors."""
    parts = []
    for literal, field in parse(pattern):
        parts.append(tf.constant(literal.encode()))
        if field is not None:
            parts.append(texts[field])
    return tf.strings.join(parts) if parts else tf.constant('')


def _write_list(listing: Listing, texts: Mapping[str, tf.Tensor]) -> tf.Tensor:
    named = pattern_fields(listing.each) - {NUMBER}
    columns = [tf.convert_to_tensor(texts[field]) for field in sorted(named)]
    length = functools.reduce(tf.maximum, [tf.size(column) for column in columns if column.shape.rank])
    numbers = tf.strings.as_string(tf.range(1, length + 1))
    elements = _write(listing.each, {**texts, NUMBER: numbers})
    return _join(_write(listing.separator, texts), elements)


def _join(separator: tf.Tensor, elements: tf.Tensor) -> tf.Tensor:
    """`separator.join(elements)`; reduce_join takes no separator that is drawn."""
    first = tf.range(tf.size(elements)) == 0
    return tf.strings.reduce_join(tf.strings.join([tf.where(first, '', separator), elements]))
