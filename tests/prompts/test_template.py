import pytest

from llmrec_jax.prompts.template import Listing, Prompt, Template, by_id


def _template(inputs: str, targets: str = '{item}', **options) -> Template:
    return Template('T-1', 'family', 'group', inputs, targets, **options)


def test_fields_are_replaced_and_doubled_braces_stand_for_braces():
    template = _template('{user}: {{{user}}} and {{}}', '{item}!')
    assert template.render({'user': '{item}', 'item': 'é\n%s'}) == Prompt('{item}: {{item}} and {}', 'é\n%s!')


def test_the_fields_of_a_template_are_those_of_its_patterns_and_listings():
    template = _template(
        '{user}: {history}', lists={'history': Listing('{number}. {title} ({stars})', '{separator}')}
    )
    assert template.fields == {'user', 'item', 'title', 'stars', 'separator'}


@pytest.mark.parametrize(
    ('listing', 'written'),
    [
        (Listing('"{title}"'), '"Heat", "Alien"'),
        (Listing('{number}. {title}, rated {stars}', '; '), '1. Heat, rated 5; 2. Alien, rated 3'),
        (Listing('{title} [ID]', ' | '), 'Heat [ID] | Alien [ID]'),
        (Listing('{title} for {user}', '{separator}'), 'Heat for me -> Alien for me'),
    ],
    ids=['quoted titles', 'rated and numbered', 'placeholders of vectors', 'a drawn separator'],
)
def test_lists_are_written_element_by_element(listing, written):
    fields = {
        'title': ['Heat', 'Alien'], 'stars': ['5', '3'], 'user': 'me', 'separator': ' -> ', 'item': '',
    }  # fmt: skip
    assert _template('{history}', lists={'history': listing}).render(fields).inputs == written


def test_a_list_of_no_elements_is_empty():
    template = _template('[{history}]', lists={'history': Listing('{title}')})
    assert template.render({'title': [], 'item': ''}).inputs == '[]'


def test_a_prompt_may_be_a_field_of_another_so_that_examples_can_be_solved_first():
    shot = _template('Rate {title}:', '{stars}')
    few = _template('{shots} {title}:', '{stars}', lists={'shots': Listing('{shot}', '\n')})
    solved = [
        ' '.join(shot.render({'title': title, 'stars': stars}))
        for title, stars in (('Heat', '5'), ('Up', '2'))
    ]
    prompt = few.render({'shot': solved, 'title': 'Alien', 'stars': '4'})
    assert prompt == Prompt('Rate Heat: 5\nRate Up: 2 Alien:', '4')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'inputs': 'open {user'}, "template 'T-1' of 'family'.*a brace itself is written twice"),
        ({'inputs': '{user!r}'}, 'braces hold the name of a field'),
        ({'inputs': '{user:>3}'}, 'braces hold the name of a field'),
        ({'inputs': '{}'}, 'braces hold the name of a field'),
        ({'inputs': '{user.name}'}, 'braces hold the name of a field'),
        (
            {'inputs': '{user}', 'lists': {'history': Listing('{item}')}},
            "lists 'history', which no pattern names",
        ),
        ({'inputs': '{history}', 'lists': {'history': Listing('{number}')}}, 'name no field'),
    ],
)
def test_a_malformed_template_is_refused_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        _template(**options)


def test_an_absent_field_is_named():
    with pytest.raises(ValueError, match='names colour, which the record lacks; it has item, user'):
        _template('{user} {colour}').render({'user': 'a', 'item': 'b'})


def test_lists_of_different_lengths_are_refused():
    template = _template('{history}', lists={'history': Listing('{title} {stars}')})
    with pytest.raises(ValueError, match="'T-1'.*list 'history'.*'title': 2"):
        template.render({'title': ['a', 'b'], 'stars': ['1'], 'item': ''})


def test_a_text_in_place_of_a_list_is_refused():
    template = _template('{history}', lists={'history': Listing('{title}')})
    with pytest.raises(ValueError, match='need fields that are lists'):
        template.render({'title': 'Heat', 'item': ''})


def test_no_two_templates_have_one_id():
    with pytest.raises(ValueError, match="two templates have the id 'T-1'"):
        by_id([_template('a'), _template('b')])
