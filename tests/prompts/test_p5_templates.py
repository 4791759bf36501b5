"""The 47 templates of P5 and the 7 of zero-shot transfer: what each asks, from what, for what."""

import collections
import functools

import numpy as np
import pytest
from scipy import stats

from llmrec_jax.prompts.array_ops import NUMPY
from llmrec_jax.prompts.draws import Draws
from llmrec_jax.prompts.p5.groups import RATES, SMALL_SET, TEMPLATES, P5Prompts
from llmrec_jax.prompts.template import Template, by_id

# The fields that each published template reads, and those that it asks for.
PUBLISHED = {
    '1-1': ('user item', 'stars'),
    '1-2': ('user title', 'stars'),
    '1-3': ('user item asked_stars', 'yes_no'),
    '1-4': ('user item', 'like'),
    '1-5': ('user item title', 'stars'),
    '1-6': ('user_name item', 'stars'),
    '1-7': ('user_name title', 'stars'),
    '1-8': ('user_name title asked_stars', 'yes_no'),
    '1-9': ('user_name title', 'like'),
    '1-10': ('user_name title', 'stars'),
    **dict.fromkeys(('2-1', '2-2', '2-3'), ('user history', 'item')),
    **dict.fromkeys(('2-4', '2-5', '2-6', '2-13'), ('user_name history', 'item')),
    **dict.fromkeys(('2-7', '2-9'), ('user history candidates', 'item')),
    **dict.fromkeys(('2-8', '2-10'), ('user_name history candidates', 'item')),
    '2-11': ('user history item', 'yes_no'),
    '2-12': ('user_name history item', 'yes_no'),
    '3-1': ('user title', 'explanation'),
    '3-2': ('user item headline', 'explanation'),
    '3-3': ('user title whole_stars', 'explanation'),
    '3-4': ('user_name title', 'explanation'),
    '3-5': ('user_name title headline', 'explanation'),
    '3-6': ('user_name item whole_stars', 'explanation'),
    '3-7': ('user item feature_word', 'stars explanation'),
    '3-8': ('user_name item', 'stars explanation'),
    '3-9': ('user title feature_word', 'explanation'),
    '3-10': ('user_name title feature_word', 'explanation'),
    '3-11': ('user item feature_word whole_stars', 'explanation'),
    '3-12': ('user_name item feature_word whole_stars', 'explanation'),
    '4-1': ('user review', 'headline'),
    '4-2': ('user review', 'whole_stars'),
    '4-3': ('user_name review', 'headline'),
    '4-4': ('user_name review', 'whole_stars'),
    '5-1': ('user item', 'yes_no'),
    '5-2': ('user_name item', 'yes_no'),
    '5-3': ('user_name title', 'yes_no'),
    '5-4': ('user title', 'yes_no'),
    **dict.fromkeys(('5-5', '5-6'), ('user_name candidates', 'item')),
    **dict.fromkeys(('5-7', '5-8'), ('user candidates', 'item')),
    'Z-1': ('user title brand price', 'like'),
    'Z-2': ('user_name title brand price', 'stars'),
    'Z-3': ('user title brand price', 'stars'),
    'Z-4': ('user_name title brand price', 'like'),
    'Z-5': ('user_name title brand price', 'explanation'),
    'Z-6': ('user title brand price feature_word whole_stars', 'explanation'),
    'Z-7': ('user_name title', 'explanation'),
}
HELD_OUT = {'1-10', '2-13', '3-12', '4-4', '5-8', *(f'Z-{number}' for number in range(1, 8))}


def test_the_families_have_as_many_templates_as_published():
    counts = collections.Counter(template.family for template in TEMPLATES)
    assert counts == {
        'rating': 10, 'sequential': 13, 'explanation': 12, 'review': 4, 'direct': 8, 'zero_shot': 7,
    }  # fmt: skip
    assert set(SMALL_SET) <= set(by_id(TEMPLATES)) and len(set(SMALL_SET)) == 18


@pytest.mark.parametrize('template', TEMPLATES, ids=lambda template: template.id)
def test_a_template_has_the_inputs_and_the_target_of_the_published_one(template):
    marked = {
        field: [f'<{field}>'] if field in ('history_item', 'candidate') else f'<{field}>'
        for field in template.fields
    }
    prompt = template.render(marked)
    listed = (('history_item', 'history'), ('candidate', 'candidates'))
    inputs, targets = (
        functools.reduce(lambda text, pair: text.replace(*pair), listed, side) for side in prompt
    )
    named = tuple(
        {word for word in text.replace('<', ' <').replace('>', '> ').split() if word.startswith('<')}
        for text in (inputs, targets)
    )
    assert named == tuple({f'<{field}>' for field in side.split()} for side in PUBLISHED[template.id])
    assert template.held_out == (template.id in HELD_OUT)


def test_no_two_wordings_are_the_same():
    assert len({template.inputs for template in TEMPLATES}) == len(TEMPLATES)


def test_the_rates_are_those_of_the_paper():
    groups = P5Prompts().groups(training=True)
    rates = {name: group.rate for name, group in groups.items()}
    assert rates == RATES
    assert rates['sequential_next_item'] == rates['sequential_candidates'] == rates['direct_candidates'] == 5
    assert rates['sequential_yes_no'] == rates['direct_yes_no'] == 10
    assert rates['rating_stars'] == rates['explanation_sentence'] == rates['review_review'] == 1


def test_a_recipe_may_ask_other_rates_of_some_groups_in_training_alone():
    prompts = P5Prompts(rates={'sequential_next_item': 20})
    rates = {name: group.rate for name, group in prompts.groups(training=True).items()}
    assert rates == {**RATES, 'sequential_next_item': 20}
    assert {group.rate for group in prompts.groups(training=False).values()} == {1}
    with pytest.raises(ValueError, match="rates names the group 'sequential'; P5 has rating_stars, "):
        P5Prompts(rates={'sequential': 20})


@pytest.mark.parametrize('name', [name for name in RATES if name != 'zero_shot_transfer'])
def test_training_draws_the_seen_templates_equally_often_and_never_one_held_out(name):
    group = P5Prompts().groups(training=True)[name].seen()
    draws = Draws.of(NUMPY, group=group.name, seed=3, epoch=1, record=np.arange(100_000), repetition=0)
    counts = np.bincount(group.draw_template(draws), minlength=len(group.templates))
    assert counts.sum() == 100_000
    assert stats.chisquare(counts).pvalue > 1e-4
    assert not any(template.held_out for template in group.templates)


def test_a_group_of_held_out_templates_alone_has_nothing_to_train_on():
    with pytest.raises(ValueError, match='zero_shot_transfer has the templates Z-1'):
        P5Prompts().groups(training=True)['zero_shot_transfer'].seen()


def test_a_template_of_ones_own_is_one_more_entry():
    mine = Template('1-11', 'rating', 'stars', 'Stars of {user} for the {brand} at {price}?', '{stars}')
    groups = P5Prompts(templates=(*TEMPLATES, mine)).groups(training=True)
    assert mine in groups['rating_stars'].seen().templates


@pytest.mark.parametrize(
    ('template', 'message'),
    [
        (
            Template('1-11', 'rating', 'stars', '{colour}', ''),
            "'1-11' of 'rating' names colour, which RatedItem",
        ),
        (Template('1-11', 'rating', 'colours', '{user}', ''), "of the group 'rating_colours'; P5 has"),
        (Template('1-1', 'rating', 'stars', '{user}', ''), "two templates have the id '1-1'"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        P5Prompts(templates=(*TEMPLATES, template)).groups(training=True)
