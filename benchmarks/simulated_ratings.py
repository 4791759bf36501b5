"""Writes ratings.csv and movies.csv as MovieLens has them, of any size; the same for the same seed.

    python benchmarks/simulated_ratings.py --events=32000000 --output=/tmp/ratings_32m

Counts, popularity and times follow those of MovieLens-32M: 160 ratings a user in the mean and 20 at least,
with a long tail of users; a few movies that everyone rates and many that hardly anyone does; ratings in
sessions, seconds apart and often in the same second; rows sorted by user and movie.
"""

import argparse
import csv
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.csv

EVENTS_A_USER = 160
ITEMS = 87_000
USERS_AT_ONCE = 10_000
# Users of more ratings have their items drawn in another way: most of what is drawn they have already.
DRAWN_ONE_BY_ONE = 400
FIRST_SECOND, SECONDS = 789_652_009, 908_000_000
GENRES = ('Action', 'Comedy', 'Drama', 'Horror', 'Sci-Fi', 'Thriller', '(no genres listed)')
STARS = np.array([f'{halves / 2:.1f}' for halves in range(1, 11)])
STAR_SHARES = np.array([16, 31, 16, 66, 50, 196, 127, 266, 88, 144]) / 1000


def movie_ids(items: int, rng: np.random.Generator) -> np.ndarray:
    """Ids as published ones are: ascending, with gaps."""
    return np.cumsum(rng.integers(1, 6, items))


def write_movies(path: pathlib.Path, ids: np.ndarray, rng: np.random.Generator) -> None:
    years, first, second = (rng.integers(0, bound, len(ids)) for bound in (100, len(GENRES), 400))
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['movieId', 'title', 'genres'])
        for movie, year, genre, word in zip(ids.tolist(), years, first, second):
            writer.writerow([movie, f'Movie {movie}, Part {word} ({1920 + year})', GENRES[genre]])


def lengths_of(events: int, rng: np.random.Generator) -> np.ndarray:
    """How many ratings each user has: log-normal, scaled to the sum."""
    users = max(events // EVENTS_A_USER, 1)
    drawn = np.minimum(rng.lognormal(0, 1.25, users), 60)
    lengths = 20 + np.floor(drawn / drawn.sum() * (events - 20 * users)).astype(np.int64)
    short = events - lengths.sum()
    lengths += short // users
    lengths[: short % users] += 1
    return lengths


def distinct_items(lengths: np.ndarray, popularity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each user so many different items by popularity, ascending."""
    users, items = len(lengths), len(popularity)
    heavy = np.flatnonzero(lengths > DRAWN_ONE_BY_ONE)
    # The items whose clocks ring first, of clocks that ring at a rate of the popularity: without repetition.
    rings = (rng.standard_exponential(items, np.float32) / popularity for _ in heavy)
    parts = [
        user * items + np.argpartition(ring, length)[:length]
        for user, length, ring in zip(heavy, lengths[heavy], rings)
    ]
    reach = np.cumsum(popularity, dtype=np.float64)
    missing = np.where(lengths > DRAWN_ONE_BY_ONE, 0, lengths)
    found = np.zeros(0, np.int64)
    while missing.any():
        owner = np.repeat(np.arange(users), np.where(missing, missing + missing // 2 + 4, 0))
        drawn = np.searchsorted(reach, rng.random(len(owner)) * reach[-1])
        known = found[missing[found // items] > 0]
        fresh = np.setdiff1d(np.unique(owner * items + drawn), known, assume_unique=True)
        # Which of a user's items are too many is drawn too, or ids would tell how popular an item is.
        fresh = rng.permutation(fresh)
        fresh = fresh[np.argsort(fresh // items, kind='stable')]
        owner = fresh // items
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        taken = fresh[place < missing[owner]]
        found = np.concatenate([found, taken])
        missing -= np.bincount(taken // items, minlength=users)
    return np.sort(np.concatenate([found, *parts])) % items


def seconds_of(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Times of each user's ratings in no order: sessions of thirty or so, with ties."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    joined = FIRST_SECOND + rng.integers(0, SECONDS, len(lengths))
    session = rng.geometric(1 / (1 + lengths[owner] // 30)) - 1
    within = rng.integers(0, 6 * np.minimum(lengths[owner], 30))
    return joined[owner] + session * 400_000 + within


def write_ratings(path: pathlib.Path, events: int, ids: np.ndarray, rng: np.random.Generator) -> None:
    popularity = ((rng.permutation(len(ids)) + 30) ** -1.2).astype(np.float32)
    lengths = lengths_of(events, rng)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style='none')
    with path.open('wb') as file:
        file.write(b'userId,movieId,rating,timestamp\n')
        for start in range(0, len(lengths), USERS_AT_ONCE):
            part = lengths[start : start + USERS_AT_ONCE]
            table = pa.table(
                {
                    'user': np.repeat(np.arange(start + 1, start + 1 + len(part)), part),
                    'movie': ids[distinct_items(part, popularity, rng)],
                    'rating': pa.DictionaryArray.from_arrays(
                        rng.choice(len(STARS), int(part.sum()), p=STAR_SHARES), STARS
                    ).cast(pa.string()),
                    'timestamp': seconds_of(part, rng),
                }
            )
            pyarrow.csv.write_csv(table, file, options)


def write(folder: pathlib.Path, events: int, items: int = ITEMS, seed: int = 0) -> None:
    """Writes both files, the ratings last."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ids = movie_ids(items, rng)
    write_movies(folder / 'movies.csv', ids, rng)
    write_ratings(folder / 'ratings.csv', events, ids, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--events', type=int, default=32_000_000)
    parser.add_argument('--items', type=int, default=ITEMS)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--output', type=pathlib.Path, required=True)
    flags = parser.parse_args()
    write(flags.output, flags.events, flags.items, flags.seed)


if __name__ == '__main__':
    main()
