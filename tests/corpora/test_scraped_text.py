"""What is left of text that was taken from web pages."""

import math

import pytest

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.scraped_text import Scraps

SCRIPT = 'var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();'
STYLE = '.a-box-inner{background-color:#fff}#alohaBuyBoxWidget'


@pytest.mark.parametrize(
    ('written', 'read'),
    [
        ('Tom &amp; Jerry&#39;s', "Tom & Jerry's"),
        ('Tom &amp;amp; Jerry&amp;#39;s', "Tom & Jerry's"),
        ('Caf&eacute; &#x2714; 30&#176', 'Café ✔ 30°'),
        ('<span id="productTitle" title="a > b">Steel kettle</span>', 'Steel kettle'),
        ('&lt;b&gt;Bold&lt;/b&gt; move', 'Bold move'),
        ('one<br>two<BR/>three', 'one two three'),
        ('before<!-- hidden --> after', 'before after'),
        ('before <script>var x = 1;</script>after', 'before after'),
        ('\n\n  Kettle\n\t steel ', 'Kettle steel'),
        # What only looks like markup stays.
        ('I <3 you & R&D', 'I <3 you & R&D'),
        ('vector<int> by example', 'vector<int> by example'),
        ('a < b > c', 'a < b > c'),
        ('x?a=1&copy=2', 'x?a=1&copy=2'),
        ('two  blanks', 'two  blanks'),
        ('half \ud83d', 'half ?'),
        ('Necklace {gold}', 'Necklace {gold}'),
        ('Variable = good, document your life', 'Variable = good, document your life'),
    ],
)
def test_a_title_is_what_people_read(written, read):
    scraps = Scraps()
    assert scraped_text.line(written, 'title', scraps) == read
    assert not scraps.total()


@pytest.mark.parametrize(
    'written', [SCRIPT, STYLE, '</span></span>', '<script>x</script>', 'function f(a) { }']
)
def test_code_and_markup_alone_are_unknown_and_counted(written):
    scraps = Scraps()
    assert scraped_text.line(written, 'title', scraps) == ''
    assert scraped_text.brand(written, scraps) == ''
    assert scraped_text.paragraphs(written, 'description', scraps) == ''
    assert scraped_text.opinion(written, 'review', scraps) == ''
    assert math.isnan(scraped_text.price(written, scraps))
    assert {field for field, count in scraps.items() if count} == {
        'title', 'brand', 'description', 'review', 'price'
    }  # fmt: skip


@pytest.mark.parametrize('value', [None, '', '  ', 5, ['a'], {}])
def test_what_is_no_text_is_unknown_and_no_scrap(value):
    scraps = Scraps()
    assert scraped_text.line(value, 'title', scraps) == scraped_text.opinion(value, 'review', scraps) == ''
    assert not scraps.total()


@pytest.mark.parametrize(
    ('written', 'read'),
    [
        ('\n\n\n  by\n  \n  \n    Acme', 'Acme'),
        ('by Acme &amp; Sons', 'Acme & Sons'),
        ('By Terry', 'By Terry'),
        ('byebye', 'byebye'),
        ('by', 'by'),
        ("Visit Amazon's Anne Rice Page", 'Anne Rice'),
        ('Visit the OPI Store', 'OPI'),
    ],
)
def test_a_brand_stands_without_the_words_around_it(written, read):
    assert scraped_text.brand(written, Scraps()) == read


@pytest.mark.parametrize(
    ('written', 'read'),
    [
        ('25.00', 25.0),
        ('$25.00', 25.0),
        ('$1,299.00', 1299.0),
        ('<span>$3.50</span>', 3.5),
        (12, 12.0),
        (0.0, 0.0),
        ('$12.99 - $24.99', None),
        ('', None),
        ('from 5.99', None),
        (True, None),
        (float('inf'), None),
        (-1.0, None),
        (10**400, None),
        (None, None),
    ],
)
def test_a_price_is_one_number(written, read):
    found = scraped_text.price(written, Scraps())
    assert math.isnan(found) if read is None else found == read


def test_a_path_ends_where_it_goes_wrong():
    scraps = Scraps()
    path = ['Home', 'Kitchen &amp; Bath', '</span></span></span>', 'Package Dimensions:', '5 x 5']
    assert scraped_text.path(path, scraps) == ('Home', 'Kitchen & Bath')
    assert scraps == {'categories': 3}
    assert scraped_text.path(['Home', '', None, 'Bath'], scraps) == ('Home', 'Bath')


def test_a_description_keeps_its_prose():
    scraps = Scraps()
    parts = [
        '<b>Boils</b> <br/>water fast &amp; quiet',
        '<img src="x.jpg">',
        f'Steel.\n{STYLE}\nTwo litres.',
        None,
    ]
    expected = 'Boils water fast & quiet\nSteel.\nTwo litres.'
    assert scraped_text.paragraphs(parts, 'description', scraps) == expected
    assert scraps == {'description': 2}


def test_a_review_may_speak_of_code():
    scraps = Scraps()
    text = 'The chapter on var x = 1; is fine.<br /><br />Buy it.'
    assert scraped_text.opinion(text, 'review', scraps) == 'The chapter on var x = 1; is fine. Buy it.'
    assert not scraps.total()
