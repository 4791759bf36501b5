"""Every `python` block of the pages runs as it stands; `py` marks what is shown alone."""

import doctest

import pytest

from tests.docs.pages import PAGES, ROOT, blocks
from tests.language_models.local_chat_server import chat_server

# Pages whose code needs files beside it, and the test that brings them and runs it.
ELSEWHERE = {
    'docs/data.md': 'tests/tasks/test_readme.py',
    'docs/add_a_task.md': 'tests/tasks/test_guide.py',
    'docs/own_corpus.md': 'tests/docs/test_own_corpus.py',
    'docs/systems/fine_tuning.md': 'tests/docs/test_own_tsv.py',
}
# Blocks that take a minute or more.
SLOW = {('docs/text_tasks.md', 1)}


def runnable():
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        if name not in ELSEWHERE:
            for number, code in enumerate(blocks(page, 'python')):
                marks = [pytest.mark.slow] if (name, number) in SLOW else []
                yield pytest.param(code, id=f'{name}:{number}', marks=marks)


@pytest.fixture
def server():
    """Where a page's chat server would be."""
    with chat_server() as running:
        yield running


@pytest.mark.parametrize('code', runnable())
def test_the_code_runs(code, tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    code = code.replace('http://localhost:8000/v1', server.url)
    names = {'__name__': 'page'}
    if '>>>' in code:
        example = doctest.DocTestParser().get_doctest(code, names, 'page', None, 0)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
    else:
        exec(compile(code, 'page', 'exec'), names)


@pytest.mark.parametrize(('page', 'test'), ELSEWHERE.items())
def test_other_tests_run_the_rest(page, test):
    assert len(blocks(ROOT / page, 'python')) == 1
    assert page.split('/')[-1] in (ROOT / test).read_text()
