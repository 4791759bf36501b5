import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.shuffle import Shuffler

from llmrec_jax.corpora.builders import OtherCorpusBuilder
from llmrec_jax.corpora.records import item_records, user_records
from llmrec_jax.corpora.splits import user_hash
from llmrec_jax.corpora.tfds_builder import SPLIT, _record_order
from llmrec_jax.corpora.tfds_configs import CorpusConfig
from tests.corpora.test_prepare import Oddities

CORPUS = Oddities().build()
ITEM_COLUMNS = ('item_id', 'title', 'brand', 'description', 'price')


def encoded_by_tfds(table: str, records: list[dict], data_dir) -> list[tf.train.Example]:
    config = CorpusConfig(name=table, table=table)
    features = OtherCorpusBuilder(data_dir=data_dir, config=config).info.features
    serializer = tfds.core.ExampleSerializer(features.get_serialized_info())
    return [serializer.get_tf_example(features.encode_example(record)) for record in records]


def test_items_are_the_records_that_tfds_makes_of_them(tmp_path):
    items = CORPUS.items
    rows = [2, 0, 1]
    records = [
        {
            'item': row,
            'categories': list(items.categories[row]),
            **{
                name: getattr(items, name)[row]
                for name in ('item_id', 'title', 'brand', 'description', 'price')
            },
        }
        for row in rows
    ]
    made = [tf.train.Example.FromString(one) for one in item_records(CORPUS.items, np.asarray(rows))]
    assert repr(made) == repr(encoded_by_tfds('items', records, tmp_path))


def test_users_are_the_records_that_tfds_makes_of_them(tmp_path):
    users, events, offsets = CORPUS.users, CORPUS.events, CORPUS.user_offsets
    rows = [1, 2, 0]
    records = [
        {
            'user': row,
            'user_id': users.user_id[row],
            'user_hash': user_hash(users.user_id[row]),
            'profile': users.profile[row],
            'events': {
                name: list(getattr(events, name)[offsets[row] : offsets[row + 1]])
                for name in ('item', 'timestamp', 'rating', 'summary', 'review')
            },
        }
        for row in rows
    ]
    made = [tf.train.Example.FromString(one) for one in user_records(CORPUS, np.asarray(rows))]
    assert repr(made) == repr(encoded_by_tfds('users', records, tmp_path))


def test_records_lie_in_the_order_that_tfds_shuffles_them_into(tmp_path):
    shuffler = Shuffler(tmp_path, SPLIT, disable_shuffling=False, ignore_duplicates=False)
    for row in range(100):
        shuffler.add(row, str(row).encode())
    assert _record_order(100).tolist() == [int(record) for _, record in shuffler]
