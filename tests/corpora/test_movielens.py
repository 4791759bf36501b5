import zipfile

import numpy as np
import pytest

from llmrec_jax.corpora.movielens import MovieLens
from tests.shared_data import shared_data

FLAGS = '|'.join('1' if flag in (1, 5) else '0' for flag in range(19))
FILES = {
    '100k': {
        'u.data': '7\t2\t3\t881250949\n7\t1\t5\t881250940\n8\t1\t1\t5\n',
        'u.item': f'1|Am\xe9lie (2001)|01-Jan-2001||http://x|{FLAGS}\n2|unknown||||1{"|0" * 18}\n',
        'u.user': '7|24|M|technician|85711\n8|53|F|other|94043\n',
    },
    '1m': {
        'ratings.dat': '7::2::3::978300760\n7::1::5::978300700\n8::1::1::5\n',
        'movies.dat': "1::Am\xe9lie (2001)::Action|Comedy\n2::Odd: a film (1999)::Children's\n",
        'users.dat': '7::M::25::17::55455\n8::F::1::0::48067\n',
    },
    'latest-small': {
        'ratings.csv': 'userid,movieid,rating,timestamp\n7,2,3.5,964982703\n7,1,5.0,964982600\n8,1,1.0,5\n',
        'movies.csv': 'movieId,title,genres\n1,"11\'09""01, September (2001)",Action|Comedy\n'
        '2,Am\xe9lie (2001),(no genres listed)\n',
    },
}
FILES['10m'] = {
    'ratings.dat': '7::2::3.5::978300760\n7::1::5::978300700\n8::1::1::5\n',
    'movies.dat': 'Am\xe9lie'.join(
        ['1::', ' (2001)::Action|Comedy\n2::Odd: a film (1999)::(no genres listed)\n']
    ),
    'tags.dat': '7::1::Paris::1\n8::1::paris::2\n8::1::the end :: really::3\n8::2::odd::4\n',
}
COMMAS = {
    **FILES['latest-small'],
    'tags.csv': 'userId,movieId,tag,timestamp\n7,2,Paris,1\n8,2,"of ""love"", and",2\n',
}
FILES |= {variant: COMMAS for variant in ('20m', '25m', '32m', 'latest')}
# The archive and the directory in it, where they are not ml- and the variant.
DIRECTORIES = {'10m': 'ml-10M100K'}
EXPECTED = {
    '100k': (
        ['unknown', 'Am\xe9lie (2001)'],
        [(), ('Action', 'Comedy')],
        ['a man, 24 years old, technician', 'a woman, 53 years old'],
    ),
    '1m': (
        ['Odd: a film (1999)', 'Am\xe9lie (2001)'],
        [("Children's",), ('Action', 'Comedy')],
        ['a man, 25 to 34 years old, technician or engineer', 'a woman, under 18 years old'],
    ),
    'latest-small': (
        ['Am\xe9lie (2001)', '11\'09"01, September (2001)'],
        [(), ('Action', 'Comedy')],
        ['', ''],
    ),
}
EXPECTED |= {
    '10m': (['Odd: a film (1999)', 'Am\xe9lie (2001)'], [(), ('Action', 'Comedy')], ['', '']),
    **{variant: EXPECTED['latest-small'] for variant in ('20m', '25m', '32m', 'latest')},
}


def write(directory, variant, packed=False, **changes):
    encoding = 'latin-1' if variant in ('100k', '1m') else 'utf-8'
    contents = {name: changes.get(name, text).encode(encoding) for name, text in FILES[variant].items()}
    directory.mkdir(exist_ok=True)
    if packed:
        with zipfile.ZipFile(directory / f'ml-{variant}.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(f'{DIRECTORIES.get(variant, f"ml-{variant}")}/{name}', content)
    else:
        for name, content in contents.items():
            (directory / name).write_bytes(content)
    return str(directory)


@pytest.mark.parametrize('packed', [False, True], ids=['directory', 'archive'])
@pytest.mark.parametrize('variant', FILES)
def test_every_variant_becomes_a_corpus(tmp_path, variant, packed):
    directory = write(tmp_path / 'raw', variant, packed)
    corpus = MovieLens(variant, directory, relabel_seed=None).build()
    titles, genres, profiles = EXPECTED[variant]
    assert corpus.name == f'movielens/{variant}'
    assert corpus.items.title == titles
    assert corpus.items.categories == genres
    assert corpus.users.user_id == ['7', '8']
    assert corpus.users.profile == profiles
    # User 7 rated movie 1, the second row, first.
    assert corpus.events.item.tolist() == [1, 0, 1]
    assert corpus.events.rating[0] == 5.0
    assert corpus.events.timestamp[2] == 5


@pytest.mark.parametrize(
    ('variant', 'name', 'line', 'message'),
    [
        (
            '1m',
            'ratings.dat',
            '7::1::5',
            r"ratings.dat, line 4: '7::1::5'; expected user::movie::rating::seconds",
        ),
        ('1m', 'ratings.dat', '7::1::five::3', r'ratings.dat, line 4'),
        ('1m', 'ratings.dat', '7::9::5::3', r"ratings.dat, line 4: movie '9' is not in movies.dat"),
        ('1m', 'ratings.dat', '9::1::5::3', r"ratings.dat, line 4: user '9' is not in users.dat"),
        (
            '1m',
            'ratings.dat',
            '8::1::2::5',
            r"ratings.dat, line 4: user '8', item '1', time 5 is on line 3 already",
        ),
        ('1m', 'movies.dat', '3::Title', r'movies.dat, line 3: 2 fields; expected movie::title::genre'),
        ('1m', 'users.dat', '9::X::25::1::0', r"users.dat, line 3: '9::X::25::1::0'; expected user::F or M"),
        ('1m', 'users.dat', '9::F::25::21::0', r'users.dat, line 3'),
        ('100k', 'u.item', '3|Title|date', r'u.item, line 3: 3 fields; expected movie\|title'),
        ('100k', 'u.user', '9|old|F|writer|0', r'u.user, line 3'),
        ('latest-small', 'ratings.csv', '7,1,5.0', r"ratings.csv, line 5: '7,1,5.0'"),
        ('latest-small', 'movies.csv', '3,"cut', r'movies.csv, line 4: not CSV'),
    ],
)
@pytest.mark.parametrize('packed', [False, True], ids=['directory', 'archive'])
def test_bad_lines_are_named(tmp_path, variant, name, line, message, packed):
    directory = write(tmp_path / 'raw', variant, packed, **{name: f'{FILES[variant][name]}{line}\n'})
    with pytest.raises(ValueError, match=message):
        MovieLens(variant, directory).build()


def test_files_saved_again_as_utf8_read_as_they_did(tmp_path):
    for variant in ('100k', '1m'):
        latin = MovieLens(variant, write(tmp_path / f'latin-{variant}', variant)).build()
        directory = tmp_path / f'utf8-{variant}'
        write(directory, variant)
        for path in directory.iterdir():
            path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes().decode('latin-1').encode())
        assert MovieLens(variant, str(directory)).build().fingerprint() == latin.fingerprint()


@pytest.mark.parametrize('variant', FILES)
def test_the_real_form_with_all_that_people_do_to_files(tmp_path, variant):
    plain = MovieLens(variant, write(tmp_path / 'plain', variant)).build()
    directory = tmp_path / 'dirty'
    write(directory, variant)
    for path in directory.iterdir():
        encoding = 'latin-1' if variant in ('100k', '1m') else 'utf-8'
        lines = path.read_bytes().decode(encoding).splitlines()
        # Users and movies may come again; a rating may not.
        lines += [] if path.name in ('u.data', 'ratings.dat', 'ratings.csv') else lines[1:]
        mark = '\ufeff' if encoding == 'utf-8' else ''
        path.write_bytes((mark + '\r\n\r\n'.join([*lines, '', ' '])).encode(encoding))
    assert MovieLens(variant, str(directory)).build().fingerprint() == plain.fingerprint()


@pytest.mark.parametrize(
    ('variant', 'described'),
    [('10m', ['odd', 'paris, the end :: really']), ('25m', ['of "love", and, paris', ''])],
)
def test_tags_become_the_description(tmp_path, variant, described):
    directory = write(tmp_path / 'raw', variant)
    corpus = MovieLens(variant, directory, tags=2, relabel_seed=None).build()
    assert corpus.items.description == described
    assert corpus.provenance['tags'] == 2
    assert set(corpus.provenance['files']) == set(FILES[variant])
    assert MovieLens(variant, directory).build().items.description == ['', '']


def test_tags_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match=r"MovieLens.tags is 3 for variant '1m'; .* one of 10m, 20m"):
        MovieLens('1m', tags=3)


def test_movies_that_contradict_each_other_are_named(tmp_path):
    text = f'{FILES["1m"]["movies.dat"]}1::Another::Drama\n'
    directory = write(tmp_path / 'raw', '1m', **{'movies.dat': text})
    with pytest.raises(ValueError, match=r"movies.dat, line 3: movie '1' has title 'Another', .* line 1"):
        MovieLens('1m', directory).build()
    first = MovieLens('1m', directory, duplicates='keep_first', relabel_seed=None).build()
    assert first.items.title == EXPECTED['1m'][0]


def test_ratings_listed_by_movie_do_not_keep_that_order(tmp_path):
    # Users who rate at random within one second, in a file that goes by user and movie.
    rng = np.random.default_rng(0)
    chosen = [sorted(rng.choice(60, 9, replace=False).tolist()) for _ in range(40)]
    rows = [f'{user},{movie},4.0,1000' for user, movies in enumerate(chosen) for movie in movies]
    movies = [f'{movie},Film {movie},Drama' for movie in range(60)]
    files = {
        'ratings.csv': '\n'.join(['userId,movieId,rating,timestamp', *rows]),
        'movies.csv': '\n'.join(['movieId,title,genres', *movies]),
    }
    corpus = MovieLens('latest-small', write(tmp_path / 'raw', 'latest-small', **files)).build()
    names = [int(corpus.items.item_id[item]) for item in corpus.events.item]
    ups = np.mean(np.diff(np.reshape(names, (40, 9)), axis=1) > 0)
    assert 0.4 < ups < 0.6
    assert corpus.provenance['ties'] == 'shuffled'
    assert corpus.provenance['tied_events_share'] == 1.0


def test_a_file_without_its_header_is_refused(tmp_path):
    directory = write(tmp_path / 'raw', 'latest-small', **{'ratings.csv': '7,2,3.5,964982703\n'})
    with pytest.raises(ValueError, match=r'ratings.csv, line 1: data .* expected a header'):
        MovieLens('latest-small', directory).build()


def test_a_truncated_archive_is_named(tmp_path):
    directory = write(tmp_path / 'raw', '1m', packed=True)
    path = tmp_path / 'raw' / 'ml-1m.zip'
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r'ml-1m.zip: not a whole zip archive'):
        MovieLens('1m', directory).build()


def test_missing_files_are_named_with_the_way_to_mend_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'has neither ml-1m.zip nor a directory with ratings.dat, .*download'
    ):
        MovieLens('1m', str(tmp_path)).build()
    with pytest.raises(FileNotFoundError, match='set MovieLens.manual_dir'):
        MovieLens('1m').build()
    with pytest.raises(ValueError, match=r"MovieLens.variant is '2m'; expected one of '100k', '1m', '10m'"):
        MovieLens('2m')


def test_latest_small_has_its_published_counts():
    corpus = MovieLens('latest-small', str(shared_data('ml-latest-small'))).build()
    assert (len(corpus.users), len(corpus.items), len(corpus.events)) == (610, 9_724, 100_836)
    assert np.unique(corpus.events.rating).tolist() == [stars / 2 for stars in range(1, 11)]


@pytest.mark.slow
@pytest.mark.parametrize(('k_core', 'items', 'events'), [(1, 3_706, 1_000_209), (5, 3_416, 999_611)])
def test_1m_has_the_counts_of_the_literature(k_core, items, events):
    corpus = MovieLens('1m', str(shared_data('ml-1m.zip').parent), k_core=k_core).build()
    assert (len(corpus.users), len(corpus.items), len(corpus.events)) == (6_040, items, events)
