"""Profiles written by a real server on this machine that reads the prompt and answers it."""

import re

import numpy as np
import pytest

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.language_models.chat_server import ChatServer
from llmrec_jax.language_models.language_model import LanguageModelError
from llmrec_jax.language_models.usage import Prices
from llmrec_jax.prompts.palr.profiles import UserProfile
from llmrec_jax.stages.profile_writers import CountedProfiles, WrittenProfiles
from llmrec_jax.stages.profiled_users import profiled_users, shown_items
from tests.language_models.local_chat_server import chat_server, error

NAMES = ['Heat', 'Alien', 'Fargo', 'Dune', 'Big', 'Up']
CATEGORIES = [
    ('Films', 'Crime', 'Action'),
    ('Films', 'Horror'),
    ('Films', 'Crime'),
    ('Films', 'Action', 'War', 'Sci-Fi'),
    ('Films',),
    ('Films', 'Comedy'),
]
TRAIN = Sequences(np.array([0, 2, 4, 1, 3, 1, 0, 3, 5, 0]), np.array([0, 3, 6, 6, 10]))


def users(max_history=3, max_users=None, seed=0):
    return profiled_users(TRAIN, shown_items(NAMES, CATEGORIES, 2), max_history, max_users, seed)


def profile(prompt):
    """The first and the last item, each for a keyword of its own, and one that is made up."""
    items = re.findall(r'^- "(.*)" \[(.*)\]$', prompt, re.MULTILINE)
    (first, genres), (last, others) = items[0], items[-1]
    return (
        f'KEYWORD_1: {genres.split(", ")[0]}\nHISTORY_ITEMS_1: "{first}"\n'
        f'KEYWORD_2: old {others.split(", ")[-1]}\nHISTORY_ITEMS_2: "{last}"\n'
        'KEYWORD_3: westerns\nHISTORY_ITEMS_3: "Rio Bravo"'
    )


@pytest.fixture
def server():
    with chat_server(profile) as running:
        yield running


def writer(server, **fields):
    asked = ChatServer(server.url, 'writer', first_wait_seconds=0.01, max_attempts=3)
    return WrittenProfiles(asked, keywords=2, **fields)


def test_histories_are_shown_newest_last_and_each_item_once():
    assert users().histories == {0: (0, 2, 4), 1: (3, 1), 3: (3, 5, 0)}
    assert users(max_history=2).histories == {0: (2, 4), 1: (3, 1), 3: (5, 0)}
    assert [item.keywords for item in users().items] == [
        ('Crime', 'Action'),
        ('Horror',),
        ('Crime',),
        ('War', 'Sci-Fi'),
        (),
        ('Comedy',),
    ]
    drawn = [tuple(users(max_users=2, seed=seed).histories) for seed in range(8)]
    assert len(set(drawn)) > 1 and all(len(chosen) == 2 for chosen in drawn)
    assert users(max_users=2, seed=1).histories == users(max_users=2, seed=1).histories


def test_profiles_are_written_read_and_held_to_the_history(server, tmp_path):
    server.faults = {'*': [error(500), error(429)]}
    chosen = writer(server, prices=Prices(1.0, 2.0))
    profiles, summary = chosen.write(users(), str(tmp_path / 'responses.jsonl'))
    outside = {'items outside the history': 1}
    assert profiles == [
        UserProfile(0, {'Crime': (0,), 'old Crime': (2,)}, outside),
        UserProfile(1, {'War': (3,), 'old Horror': (1,)}, outside),
        UserProfile(3, {'War': (3,), 'old Action': (0,)}, outside),
    ]
    assert (summary['model'], summary['answered_by'], summary['ended_by']) == (
        'writer',
        ['echo-1'],
        {'stop': 3},
    )
    assert summary['usage']['retries'] == 2 and summary['usage']['cost']['now'] > 0
    asked = len(server.asked)
    again, summary = chosen.write(users(), str(tmp_path / 'responses.jsonl'))
    assert again == profiles and len(server.asked) == asked
    assert summary['usage']['from_store'] == 3 and summary['usage']['cost']['now'] == 0


def test_a_user_whose_request_fails_has_no_profile_and_is_asked_again(server, tmp_path):
    server.faults = {'*': [error(400, 'too long')]}
    path = str(tmp_path / 'responses.jsonl')
    with pytest.raises(LanguageModelError, match='1 of 3 requests to writer failed, one of them: status 400'):
        writer(server).write(users(), path)
    server.faults = {'*': [error(400, 'too long')]}
    profiles, _ = writer(server, max_failed_share=0.4).write(users(), path)
    (failed,) = [profile for profile in profiles if profile.failed]
    assert failed.failed == 'status 400: too long' and failed.keywords == {}
    profiles, _ = writer(server).write(users(), path)
    assert not any(profile.failed for profile in profiles)
    assert len(server.asked) == 5


def test_counted_keywords_stand_for_most_items_then_for_rare_categories():
    profiles, _ = CountedProfiles(keywords=2).write(users(), '')
    assert profiles == [
        UserProfile(0, {'Crime': (0, 2), 'Action': (0,)}),
        UserProfile(1, {'Horror': (1,), 'Sci-Fi': (3,)}),
        UserProfile(3, {'Action': (0,), 'Comedy': (5,)}),
    ]


@pytest.mark.parametrize(
    ('fields', 'message'),
    [({'keywords': 0}, 'keywords must be at least 1'), ({'max_failed_share': 1.5}, r'must lie in \[0, 1\]')],
)
def test_settings_that_cannot_be_had_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        WrittenProfiles(ChatServer('http://localhost/v1', 'writer'), **fields)
