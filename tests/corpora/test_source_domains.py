import numpy as np
import pytest

from llmrec_jax.corpora.source_domains import SourceDomains, centred, join, shuffled_rows
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits


def sequences(*rows):
    return Sequences(
        np.concatenate([np.asarray(row, np.int64) for row in rows]),
        np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
    )


def splits(*users):
    """Users' events; those with fewer than three are in train alone."""
    whole = [row for row in users if len(row) >= 3]
    evaluated = np.array([number for number, row in enumerate(users) if len(row) >= 3])
    cases = [
        RankingCases(
            evaluated, sequences(*(row[:end] for row in whole)), np.array([row[end] for row in whole])
        )
        for end in (-2, -1)
    ]
    return Splits(sequences(*(row[:-2] if len(row) >= 3 else row for row in users)), *cases)


def listed(found):
    return [found[row].tolist() for row in range(len(found))]


FIRST = splits([0, 1, 2, 3], [2, 0], [3, 2, 1, 0, 1])
SECOND = splits([0, 1, 2], [4, 3, 2, 1])


@pytest.fixture
def domains():
    return join([FIRST, SECOND], [4, 5])


def test_items_and_users_of_a_later_domain_follow_those_before(domains):
    assert listed(domains.train) == [[0, 1], [2, 0], [3, 2, 1], [4], [8, 7]]
    assert domains.validation.user.tolist() == [0, 2, 3, 4]
    assert listed(domains.validation.histories) == [[0, 1], [3, 2, 1], [4], [8, 7]]
    assert domains.validation.target.tolist() == [2, 0, 5, 6]
    assert domains.first_items.tolist() == [0, 4, 9]


def test_a_shuffled_order_keeps_each_users_items(domains):
    found = [domains.shuffled('order', seed) for seed in range(8)]
    for one in found:
        whole = [
            sorted([*one.validation.histories[row].tolist(), one.validation.target[row]]) for row in range(4)
        ]
        assert whole == [[0, 1, 2], [0, 1, 2, 3], [4, 5], [6, 7, 8]]
        np.testing.assert_array_equal(one.train.offsets, domains.train.offsets)
        assert listed(one.train)[0] == one.validation.histories[0].tolist()
    assert len({tuple(one.train.values) for one in found}) > 4


def test_shuffled_histories_keep_lengths_and_popularity_within_a_domain(domains):
    found = [domains.shuffled('histories', seed) for seed in range(8)]

    def events(one):
        return np.concatenate([one.train.values, one.validation.target])

    for one in found:
        np.testing.assert_array_equal(np.bincount(events(one)), np.bincount(events(domains)))
        assert events(one)[:7].max() < 4
        assert listed(one.train)[2] == one.validation.histories[1].tolist()
    assert len({tuple(events(one)) for one in found}) > 4
    assert domains.shuffled('text', 0) is domains


def test_shuffled_texts_stay_in_their_domain():
    vectors = np.arange(9, dtype=np.float32)[:, None]
    found = shuffled_rows(vectors, (4, 5), 0)[:, 0]
    assert sorted(found[:4]) == [0, 1, 2, 3]
    assert sorted(found[4:]) == [4, 5, 6, 7, 8]
    assert not np.array_equal(found, vectors[:, 0])


def test_vectors_are_taken_from_the_mean_of_their_domain():
    rng = np.random.default_rng(0)
    told = rng.standard_normal((9, 5)).astype(np.float32)
    vectors = told + np.repeat([[3.0], [-7.0]], [4, 5], axis=0).astype(np.float32)
    found = centred(vectors, [4, 5])
    np.testing.assert_allclose(found, centred(told, [4, 5]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert not np.any(centred(np.ones((3, 2), np.float32), [3]))


def test_domains_are_kept(domains, tmp_path):
    domains.save(tmp_path / 'domains.npz')
    found = SourceDomains.load(tmp_path / 'domains.npz')
    assert listed(found.train) == listed(domains.train)
    assert listed(found.validation.histories) == listed(domains.validation.histories)
    assert (found.n_items, found.validation.target.tolist()) == ((4, 5), [2, 0, 5, 6])
    (tmp_path / 'domains.npz').write_bytes(b'PK')
    with pytest.raises(ValueError, match='domains.npz is damaged'):
        SourceDomains.load(tmp_path / 'domains.npz')
