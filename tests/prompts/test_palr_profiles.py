import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.prompts.palr import profile_text
from llmrec_jax.prompts.palr.profile_text import (
    ShownItem,
    profile_prompt,
    read_profile,
    relation,
    written_keywords,
)
from llmrec_jax.prompts.palr.profiles import Profiles, UserProfile, load_profiles, save_profiles

HISTORY = [
    ShownItem('Heat (1995)', ('Action', 'Crime')),
    ShownItem('Alien, the first', ('Horror', 'Sci-Fi')),
    ShownItem("Ocean's Eleven", ('Crime',)),
]


def reply(*keywords):
    return '\n'.join(
        f'KEYWORD_{n}: {word}\nHISTORY_ITEMS_{n}: ' + ', '.join(f'"{name}"' for name in names)
        for n, (word, *names) in enumerate(keywords, 1)
    )


def test_the_prompt_shows_the_history_and_the_form():
    prompt = profile_prompt(HISTORY, 2)
    assert prompt.index('- "Heat (1995)" [Action, Crime]\n- "Alien, the first" [Horror, Sci-Fi]') > 0
    assert 'in 2 keywords' in prompt and 'KEYWORD_2:' in prompt and 'KEYWORD_3' not in prompt
    # The form that is asked for is the form that is read.
    assert written_keywords(prompt.split('Items:\n')[0]) == [('keyword', ['name', 'name'])] * 2
    with pytest.raises(ValueError, match='2 keywords of 0 items'):
        profile_prompt([], 2)


@pytest.mark.parametrize(
    'text',
    [
        reply(('heists', 'Heat (1995)', "Ocean's Eleven"), ('space horror', 'Alien, the first')),
        # T5 writes no line breaks.
        reply(('heists', 'Heat (1995)', "Ocean's Eleven"), ('space horror', 'Alien, the first')).replace(
            '\n', ' '
        ),
        "Sure! Here it is:\n**KEYWORD_1:** *heists*\n**HISTORY_ITEMS_1:** “heat (1995)”, “OCEAN'S ELEVEN”\n"
        '**KEYWORD_2:** space horror.\n**HISTORY_ITEMS_2:** “Alien,  the first”\n',
        'Keyword 1: "heists"\nHistory items 1: "Heat (1995)"; "Ocean\'s Eleven"\n'
        'Keyword 2: [space horror]\nHistory item 2: "Alien, the first" - "Alien, the first"',
    ],
)
def test_replies_are_read_however_they_are_decorated(text):
    read = read_profile(text, HISTORY, 2)
    assert read.keywords == {'heists': (0, 2), 'space horror': (1,)} and read.rejected == {}


def test_keywords_that_do_not_come_from_the_history_are_rejected():
    text = reply(
        ('westerns', 'Heat (1995)', 'Rio Bravo'),
        ('heists', 'Heat (1995)'),
        ('Heists', "Ocean's Eleven"),
        ('crime',),
        ('', 'Heat (1995)'),
        ('what this user likes is crime', 'Heat (1995)'),
        ('horror', 'Alien, the first'),
        ('space', 'Alien, the first'),
    )
    read = read_profile(text, HISTORY, 2)
    assert read.keywords == {'heists': (0,), 'horror': (1,)}
    assert read.rejected == {
        profile_text.OUTSIDE_HISTORY: 1,
        profile_text.REPEATED: 1,
        profile_text.NO_ITEMS: 1,
        profile_text.TOO_LONG: 2,
        profile_text.TOO_MANY: 1,
    }


def test_a_reply_that_was_cut_keeps_what_is_whole():
    text = reply(('heists', 'Heat (1995)', "Ocean's Eleven"), ('space', 'Alien, the first'))
    assert read_profile(text[:-4], HISTORY, 2).keywords == {'heists': (0, 2)}
    assert read_profile('', HISTORY, 2) == profile_text.ReadProfile({}, {})


PARTS = st.sampled_from(['KEYWORD_1:', 'HISTORY_ITEMS_1:', '"Heat (1995)"', '"', ',', '\n', 'crime', 'Rio'])


@given(
    st.one_of(st.text(), st.binary().map(lambda raw: raw.decode('latin-1')), st.lists(PARTS).map(' '.join))
)
def test_any_text_gives_keywords_that_cite_the_history_alone(text):
    read = read_profile(text, HISTORY, 2)
    assert len(read.keywords) <= 2
    for keyword, places in read.keywords.items():
        assert keyword and places and set(places) <= {0, 1, 2}


def test_profiles_are_read_as_they_were_written(tmp_path):
    profiles = [
        UserProfile(7, {'heists': (3, 1), 'é': (2,)}, {'no items': 1}),
        UserProfile(2, {}, failed='status 400'),
    ]
    path = tmp_path / 'profiles.jsonl'
    save_profiles(path, 'abc', profiles)
    loaded = load_profiles(path)
    assert loaded == Profiles('abc', {7: profiles[0], 2: profiles[1]})
    assert (loaded.keywords(7), loaded.keywords(2), loaded.keywords(5)) == (('heists', 'é'), (), ())
    loaded.check_corpus('abc')
    with pytest.raises(ValueError, match='the profiles are of the corpus abc, and this is def'):
        loaded.check_corpus('def')
    path.write_text(path.read_text() + '{"user": 3}\n')
    with pytest.raises(ValueError, match=r'profiles.jsonl, line 4: no profile'):
        load_profiles(path)


def test_keywords_about_their_user_are_told_from_keywords_for_anyone():
    rng = np.random.default_rng(0)
    tastes = ['kettles', 'lamps', 'rugs', 'saws', 'tents']
    taste = {user: tastes[user % 5] for user in range(200)}
    history = {
        user: [ShownItem(f'A fine {word.removesuffix("s")}', ('Home',))] for user, word in taste.items()
    }
    about = relation({user: [word] for user, word in taste.items()}, history, 0)
    assert about['keywords'] == 200 and about['in_own_history'] == 1.0
    # One in five others has the same taste.
    assert 0.1 < about['in_another_history'] < 0.3
    shuffled = dict(enumerate(rng.permutation([taste[user] for user in range(200)]).tolist()))
    mixed = relation({user: [word] for user, word in shuffled.items()}, history, 0)
    assert abs(mixed['in_own_history'] - mixed['in_another_history']) < 0.15
    assert relation({user: ['home'] for user in taste}, history, 0)['in_another_history'] == 1.0
    assert relation({0: []}, history, 0) == {'keywords': 0, 'in_own_history': 0.0, 'in_another_history': 0.0}
