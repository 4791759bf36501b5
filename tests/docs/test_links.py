"""Links between the pages lead somewhere, and the README stays an entrance."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, prose

LINK = re.compile(r'\]\(([^)#]*)(?:#([^)]*))?\)')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page):
    targets = [target for target, _ in LINK.findall(prose(page)) if target and '://' not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings_of_their_page(page):
    anchors = [
        (target, anchor) for target, anchor in LINK.findall(prose(page)) if anchor and '://' not in target
    ]
    pages = {target: page.parent / target if target else page for target, _ in anchors}
    assert [(target, anchor) for target, anchor in anchors if anchor not in slugs(pages[target])] == []


def slugs(page):
    """The headings of a page as GitHub and MyST name them in links."""
    headings = re.findall(r'^#+ (.*)$', prose(page), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading).strip().lower().replace(' ', '-') for heading in headings}


def test_the_index_names_every_page():
    index = (ROOT / 'docs' / 'index.md').read_text()
    named = {line.strip() for line in index.splitlines()}
    pages = {
        str(page.relative_to(ROOT / 'docs').with_suffix(''))
        for page in PAGES
        if ROOT / 'docs' in page.parents
    }
    assert pages - {'index'} <= named


def test_the_readme_is_short():
    assert len((ROOT / 'README.md').read_text().split()) <= 1500
