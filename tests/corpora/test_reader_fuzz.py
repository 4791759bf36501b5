"""Files that are damaged at random: a reader makes a corpus of them, or names the file in one message."""

import gzip
import json
import pathlib
import tempfile
import zipfile

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from llmrec_jax.corpora.amazon_reviews_2014 import AmazonReviews2014, AmazonReviews2018
from llmrec_jax.corpora.amazon_reviews_2023 import AmazonReviews2023
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.goodreads import Goodreads
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.steam import Steam
from llmrec_jax.corpora.yelp import Yelp
from tests.corpora import published_forms, sequence_directory, test_amazon_reviews_2014, test_movielens
from tests.corpora.published_forms import lines_of

# Reader -> its files, unpacked, and what makes a source of their directory.
READERS = {}
for _variant in ('100k', '1m', '10m', '25m'):
    _encoding = 'latin-1' if _variant in ('100k', '1m') else 'utf-8'
    READERS[f'movielens {_variant}'] = (
        {name: text.encode(_encoding) for name, text in test_movielens.FILES[_variant].items()},
        lambda directory, variant=_variant: MovieLens(
            variant, directory, tags=2 * (variant in ('10m', '25m'))
        ),
    )
_JSON = {
    'amazon 2023': (
        published_forms.AMAZON_2023,
        lambda directory: AmazonReviews2023(manual_dir=directory, k_core=1),
    ),
    'yelp': (published_forms.YELP, lambda directory: Yelp(directory, k_core=1)),
    'steam': (published_forms.STEAM, lambda directory: Steam(directory, k_core=1)),
    'goodreads': (published_forms.GOODREADS, lambda directory: Goodreads(manual_dir=directory, k_core=1)),
}
for _name, (_files, _source) in _JSON.items():
    READERS[_name] = (
        {name: '\n'.join([*lines_of(name, records), '']).encode() for name, records in _files.items()},
        _source,
    )
_REVIEWS = '\n'.join(map(json.dumps, test_amazon_reviews_2014.REVIEWS)).encode()
READERS['amazon 2014'] = (
    {
        'reviews_Beauty_5.json.gz': _REVIEWS,
        'meta_Beauty.json.gz': '\n'.join(test_amazon_reviews_2014.METADATA_2014).encode(),
    },
    lambda directory: AmazonReviews2014(manual_dir=directory, k_core=1),
)
READERS['amazon 2018'] = (
    {
        'Home_5.json.gz': _REVIEWS,
        'meta_Home.json.gz': b'{"asin": "A1", "title": "T", "category": ["Home"], "price": "$1.00"}\n'
        b'{"asin": "A2"}',
    },
    lambda directory: AmazonReviews2018('Home', directory, k_core=1),
)
READERS['amazon 2023 ratings'] = (
    {
        'All_Beauty.csv.gz': published_forms.AMAZON_2023_HEADER.encode()
        + b'\nann,B1,5.0,1000\nbob,B1,4.0,2000\n'
    },
    lambda directory: AmazonReviews2023(
        manual_dir=directory, form='rating_only', metadata='absent', k_core=1
    ),
)
READERS['sequence files'] = (
    {
        'sequential.txt': '\n'.join([*sequence_directory.SEQUENCES, '']).encode(),
        'items.jsonl': '\n'.join(map(json.dumps, sequence_directory.ITEMS)).encode(),
    },
    lambda directory: SequenceFiles(directory),
)

# What files are known to hold, and what numbers, texts and brackets can be made to hold.
NASTY = [
    b'', b'\xef\xbb\xbf', b'\xff\xfe', b'\x00', b'\r', b'\n', b'\r\n\r\n', b'"', b'""', b"'", b'\\', b'{',
    b'}', b'[' * 3000, b'9' * 5000, b'1e999', b'-1', b'NaN', b'Infinity', b'null', b'true', b'nan', b'::',
    b'|', b',', b'\t', b' ', b'\\ud83d', b'\\u0000', b'&amp;', b'&#55357;', b'<b>', b'<script>', b'\xe9',
    '漢🛁'.encode(), b'99999999999999999999', b'{"a": 1}', b'[]', b'u""', b'(' * 300,
]  # fmt: skip


@st.composite
def mutations(draw):
    """A place in a file, as a share of its length, and what is done there."""
    place = draw(st.floats(0, 1))
    kind = draw(
        st.sampled_from(['insert', 'replace', 'cut', 'repeat line', 'swap lines', 'cut off', 'value'])
    )
    return kind, place, draw(st.integers(1, 12)), draw(st.sampled_from(NASTY))


def mutated(content: bytes, kind: str, place: float, length: int, nasty: bytes) -> bytes:
    at = int(place * len(content))
    lines = content.split(b'\n')
    row = min(int(place * len(lines)), len(lines) - 1)
    if kind == 'insert':
        return content[:at] + nasty + content[at:]
    if kind == 'replace':
        return content[:at] + nasty + content[at + length :]
    if kind == 'cut':
        return content[:at] + content[at + length :]
    if kind == 'cut off':
        return content[:at]
    if kind == 'repeat line':
        return b'\n'.join([*lines[: row + 1], *lines[row:]])
    if kind == 'swap lines':
        lines[0], lines[row] = lines[row], lines[0]
        return b'\n'.join(lines)
    # A whole value, between what parts values.
    parts = content.replace(b': ', b'\x1f: \x1f').replace(b', ', b'\x1f, \x1f').replace(b'::', b'\x1f::\x1f')
    values = parts.split(b'\x1f')
    values[min(int(place * len(values)), len(values) - 1)] = nasty
    return b''.join(values)


def check(reader: str, chosen: int, steps: list, packed: tuple | None, as_archive: bool) -> None:
    files, source_of = READERS[reader]
    names = list(files)
    name = names[chosen % len(names)]
    contents = dict(files)
    for step in steps:
        contents[name] = mutated(contents[name], *step)
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        for one, content in contents.items():
            stored = gzip.compress(content, mtime=0) if one.endswith('.gz') else content
            if packed and one == name:
                stored = mutated(stored, *packed)
            (directory / one).write_bytes(stored)
        if as_archive and reader.startswith('movielens'):
            names = [*names, _in_archive(directory, reader.split()[1], packed)]
        source = source_of(folder)
        try:
            corpus = source.build()
        except (ValueError, FileNotFoundError) as error:
            named = [*names, repr(source.name)]
            assert any(one in str(error) for one in named), f'{type(error).__name__} names no file: {error}'
            assert len(str(error)) < 10_000
        else:
            check_corpus(corpus)


def _in_archive(directory: pathlib.Path, variant: str, packed: tuple | None) -> str:
    path = directory / f'ml-{variant}.zip'
    inside = test_movielens.DIRECTORIES.get(variant, f'ml-{variant}')
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(directory.iterdir()):
            if one != path:
                archive.write(one, f'{inside}/{one.name}')
                one.unlink()
    if packed:
        path.write_bytes(mutated(path.read_bytes(), *packed))
    return path.name


def check_corpus(corpus: Corpus) -> None:
    """What holds for every corpus, beyond what its own class checks."""
    assert len(corpus.events) and len(corpus.users) and len(corpus.items)
    assert (np.diff(corpus.user_offsets) > 0).all()
    assert not np.isinf(corpus.events.rating).any()
    assert not np.isinf(corpus.items.price).any()
    assert all(item_id.strip() for item_id in corpus.items.item_id)
    assert all(user_id.strip() for user_id in corpus.users.user_id)
    texts = [*corpus.items.title, *corpus.items.brand, *corpus.events.review]
    assert not any('\ufeff' in text[:1] or '&amp;' in text for text in texts)
    assert corpus.fingerprint()


def fuzz(max_examples: int):
    def decorated(test):
        drawn = given(
            st.sampled_from(sorted(READERS)),
            st.integers(0, 2),
            st.lists(mutations(), min_size=1, max_size=3),
            st.one_of(st.none(), mutations()),
            st.booleans(),
        )
        kept = settings(
            max_examples=max_examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        return kept(drawn(test))

    return decorated


@pytest.mark.parametrize('reader', READERS)
def test_whole_files_are_read(reader):
    check(reader, 0, [], None, False)
    files, source_of = READERS[reader]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            stored = gzip.compress(content) if name.endswith('.gz') else content
            (pathlib.Path(folder) / name).write_bytes(stored)
        check_corpus(source_of(folder).build())


@fuzz(100)
@example('yelp', 0, [('value', 0.2, 1, b'[' * 3000)], None, False)
@example('steam', 0, [('value', 0.2, 1, b'9' * 5000)], None, False)
@example('movielens 1m', 0, [('cut off', 0.0, 1, b'')], None, True)
def test_a_damaged_file_is_read_or_named(reader, chosen, steps, packed, as_archive):
    check(reader, chosen, steps, packed, as_archive)


@pytest.mark.slow
@fuzz(10_000)
def test_ten_thousand_damaged_files_are_read_or_named(reader, chosen, steps, packed, as_archive):
    check(reader, chosen, steps, packed, as_archive)
