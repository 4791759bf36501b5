"""The simulated shop as a corpus: deterministic, readable, shuffled, and true to its latent taste."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from llmrec_jax.corpora.simulated_shop.behaviour import SIZES, Behaviour, ShopSize
from llmrec_jax.corpora.simulated_shop.histories import draw_histories
from llmrec_jax.corpora.simulated_shop.reviews import SPOKEN_FACETS, facet_liking
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import CorpusSource, identity


@pytest.fixture(scope='module')
def tiny():
    return SimulatedShop('tiny').build()


@pytest.fixture(scope='module')
def quickstart():
    return SimulatedShop('quickstart').build()


def positions_of_events(source, corpus):
    return source.law().position_of_item[corpus.events.item]


class TestDeterminism:
    def test_same_seed_same_corpus(self, tiny):
        assert SimulatedShop('tiny').build().fingerprint() == tiny.fingerprint()

    def test_another_process_with_another_hash_seed(self, tiny):
        code = (
            'from llmrec_jax.corpora.simulated_shop.source import SimulatedShop;'
            'print(SimulatedShop("tiny").build().fingerprint())'
        )
        environment = {**os.environ, 'PYTHONHASHSEED': '4242'}
        result = subprocess.run(
            [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == tiny.fingerprint()

    def test_another_seed_gives_another_corpus(self, tiny):
        other = SimulatedShop('tiny', seed=1).build()
        assert other.items.title != tiny.items.title
        assert not np.array_equal(other.events.item, tiny.events.item)

    def test_taste_knob_leaves_the_catalogue_as_it_is(self, tiny):
        other = SimulatedShop('tiny', behaviour=Behaviour(taste=0.1)).build()
        assert other.items.title == tiny.items.title
        assert not np.array_equal(other.events.item, tiny.events.item)

    def test_identity_names_what_determines_the_corpus(self):
        source = SimulatedShop('tiny')
        assert isinstance(source, CorpusSource)
        settings = identity(source)['settings']
        assert {'size', 'seed', 'behaviour', 'version'} <= settings.keys()
        assert identity(SimulatedShop('tiny', behaviour=Behaviour(zipf=0.5))) != identity(source)
        json.dumps(identity(source))


class TestTables:
    def test_sizes(self, tiny, quickstart):
        for corpus, size in ((tiny, SIZES['tiny']), (quickstart, SIZES['quickstart'])):
            assert (len(corpus.items), len(corpus.users)) == (size.items, size.users)
            lengths = np.diff(corpus.user_offsets)
            assert lengths.min() == size.min_events
            assert lengths.max() <= size.max_events
            assert np.isclose(lengths.mean(), size.mean_events, rtol=0.05)

    def test_nobody_buys_an_item_twice(self, quickstart):
        events = quickstart.events
        assert len(np.unique(events.user * len(quickstart.items) + events.item)) == len(events)

    def test_time_strictly_increases_within_a_user(self, quickstart):
        events = quickstart.events
        same_user = np.diff(events.user) == 0
        assert (np.diff(events.timestamp)[same_user] > 0).all()

    def test_text_is_there_and_tells_items_apart(self, quickstart):
        items = quickstart.items
        assert all(map(str.strip, items.title)) and all(map(str.strip, items.description))
        assert len(set(items.title)) >= 0.99 * len(items)
        assert len(set(items.item_id)) == len(items)
        assert len(set(quickstart.users.user_id)) == len(quickstart.users)
        assert all(len(path) == 3 for path in items.categories)
        assert (items.price > 0).all()
        leftovers = [
            text for text in [*items.title, *items.description] if re.search(r'[{}]|\s\s|\ba [aeio]', text)
        ]
        assert leftovers == []

    def test_title_names_brand_and_product(self, quickstart):
        items = quickstart.items
        for title, brand, path in zip(items.title, items.brand, items.categories):
            assert brand in title
            assert path[-1].removesuffix('es') in title or path[-1].removesuffix('s') in title

    def test_provenance_is_json(self, tiny):
        provenance = json.loads(json.dumps(tiny.provenance))
        assert provenance['seed'] == 0
        assert provenance['behaviour']['noise'] == Behaviour().noise

    def test_indices_and_ids_carry_no_order(self, quickstart):
        items = quickstart.items
        places = np.arange(len(items))
        for column in (items.categories, items.brand, items.item_id):
            values = np.unique(
                np.array(['/'.join(v) if isinstance(v, tuple) else v for v in column]), return_inverse=True
            )[1]
            assert abs(np.corrcoef(places, values)[0, 1]) < 4 / np.sqrt(len(items))
        counts = np.bincount(quickstart.events.item, minlength=len(items))
        assert abs(np.corrcoef(places, counts)[0, 1]) < 4 / np.sqrt(len(items))

    def test_next_index_is_no_better_than_chance(self, quickstart):
        events = quickstart.events
        same_user = np.diff(events.user) == 0
        steps = np.diff(events.item)[same_user]
        assert (np.abs(steps) == 1).mean() < 5 / len(quickstart.items)


class TestTaste:
    def test_stars_follow_the_match_with_the_users_taste(self, quickstart):
        source = SimulatedShop('quickstart')
        events, taste = quickstart.events, source.planted_truth().taste
        match = taste.match[source.user_types()[events.user], positions_of_events(source, quickstart)]
        assert set(np.unique(events.rating)) == {1.0, 2.0, 3.0, 4.0, 5.0}
        assert np.corrcoef(match, events.rating)[0, 1] > 0.7
        shuffled = np.random.default_rng(0).permutation(source.user_types())
        stranger = taste.match[shuffled[events.user], positions_of_events(source, quickstart)]
        assert np.corrcoef(stranger, events.rating)[0, 1] < 0.35

    def test_reviews_speak_of_what_the_user_likes_and_dislikes(self, quickstart):
        source = SimulatedShop('quickstart')
        events = quickstart.events
        position = positions_of_events(source, quickstart)
        taste = source.planted_truth().taste
        liking = facet_liking(taste, source.user_types()[events.user], position)
        brand_liking = liking[SPOKEN_FACETS.index('brand')]
        praised = np.array(['never lets me down' in review for review in events.review])
        blamed = np.array(['is overrated' in review for review in events.review])
        assert praised.sum() > 100 and blamed.sum() > 100
        assert brand_liking[praised].mean() > 0.4
        assert brand_liking[blamed].mean() < -0.2
        brands = [quickstart.items.brand[item] for item in events.item]
        for row in np.flatnonzero(praised | blamed)[:200]:
            assert brands[row] in events.review[row]

    def test_tone_follows_the_stars(self, quickstart):
        events = quickstart.events
        loved = np.array([review.startswith(('I love', 'The best')) for review in events.review])
        returned = np.array([review.startswith(('I sent', 'Avoid')) for review in events.review])
        assert (events.rating[loved] == 5).all() and loved.any()
        assert (events.rating[returned] == 1).all() and returned.any()

    def test_reviews_vary(self, quickstart):
        assert len(set(quickstart.events.review)) > 0.5 * len(quickstart.events)
        assert len(set(quickstart.events.summary)) > 300

    def test_users_prefer_what_suits_them(self, quickstart):
        source = SimulatedShop('quickstart')
        taste = source.planted_truth().taste
        match = taste.match[
            source.user_types()[quickstart.events.user], positions_of_events(source, quickstart)
        ]
        assert match.mean() > 0.3


class TestBadInput:
    def test_unknown_size_names_the_known_ones(self):
        with pytest.raises(ValueError, match=r"unknown size 'huge'.*tiny, .*quickstart.*million"):
            SimulatedShop('huge')

    def test_negative_seed(self):
        with pytest.raises(ValueError, match='seed must not be negative, but is -1'):
            SimulatedShop('tiny', seed=-1)

    @pytest.mark.parametrize(
        ('fields', 'message'),
        [
            ({'noise': 0.5}, 'sum to 1'),
            ({'popularity': 0.11, 'noise': 0.0}, 'noise must be positive'),
            ({'memory': (0.5, 0.4)}, 'memory must be'),
            ({'memory': (0.0, 1.0)}, 'last item needs'),
            ({'complements': ()}, 'complements must be'),
            ({'taste_types': 0}, 'taste_types must be at least 1'),
            ({'brand_fame': 1.5}, 'brand_fame must be between'),
        ],
    )
    def test_behaviour(self, fields, message):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(Behaviour(), **fields)

    def test_too_few_items_for_the_tree(self):
        with pytest.raises(ValueError, match='10 items are too few for 12 leaves'):
            ShopSize(
                items=10,
                users=5,
                departments=3,
                sections=2,
                products=2,
                ranges=1,
                min_events=3,
                mean_events=4.0,
                max_events=5,
            )

    def test_more_complements_than_other_sections(self):
        with pytest.raises(ValueError, match='6 complements of a leaf need 6 other sections; there are 5'):
            SimulatedShop('tiny', behaviour=Behaviour(complements=(0.5, 0.1, 0.1, 0.1, 0.1, 0.1))).law()

    def test_history_too_long_for_the_catalogue(self):
        law = SimulatedShop('tiny').law()
        with pytest.raises(ValueError, match='60 items is too long for a catalogue of 96'):
            draw_histories(law, np.zeros(1, int), np.array([60]), np.random.default_rng(0))
