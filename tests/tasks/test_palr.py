"""PALR's tasks: what each version is trained on, and what they are made of."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import from_ranked_lists
from llmrec_jax.prompts.palr.data import Palr
from llmrec_jax.prompts.palr.profiles import UserProfile, save_profiles
from llmrec_jax.prompts.palr.windows import WindowSettings
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from tasks.palr import PalrTasks
from tests.prompts.corpora import corpus_of

PREFIX = 'palr_test_corpus'


@dataclasses.dataclass(frozen=True)
class Source:
    """A corpus that is in memory, as a source."""

    name: str = 'test/corpus'


@pytest.fixture(scope='module')
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    return corpus_of([rng.permutation(30)[:6].tolist() for _ in range(8)], [f'Title {n}' for n in range(30)])


@pytest.fixture(scope='module')
def workdir(corpus, tmp_path_factory):
    """Where the stages have left profiles and candidates."""
    folder = tmp_path_factory.mktemp('palr')
    save_profiles(folder / 'profiles.jsonl', corpus.fingerprint(), [UserProfile(3, {'jazz': (1,)})])
    test = leave_last_out(corpus).test.select(np.array([1, 3]))
    lists = from_ranked_lists(np.array([[4, 5, 6], [7, 8, 9]]), np.tile(-np.arange(3.0), (2, 1)), test.target)
    PerUserResults(test.user, test.target, {'retriever': lists}).save(folder / 'candidates.npz')
    return folder


def tasks_of(workdir, **changed) -> PalrTasks:
    palr = Palr(windows=WindowSettings(targets=2, user_share=1.0), candidates=6, pool=5)
    given = {'corpus': Source(), 'data_dir': '', 'workdir': str(workdir), 'palr': palr, **changed}
    return PalrTasks(vocabulary=TrainedVocabulary(size=400, extra_ids=0), **given)


def test_the_second_version_is_trained_on_both_tasks_and_both_are_evaluated_on_all(corpus, workdir):
    sets = {version: tasks_of(workdir, version=version).build_over(corpus) for version in ('v1', 'v2')}
    assert list(sets['v1'].rates) == [f'{PREFIX}_train_recommend']
    assert list(sets['v2'].rates) == [f'{PREFIX}_train_recommend', f'{PREFIX}_train_recommend_retrieval']
    evaluated = tuple(f'{PREFIX}_{name}' for name in ('recommend', 'recommend_retrieval', 'recommend_drawn'))
    for made in sets.values():
        assert made.mixtures == {f'{PREFIX}_eval': evaluated}
        assert [task.answer for task in made.evaluation] == ['item_list'] * 3
    # Both learn one vocabulary, so that they read the same prompts alike.
    assert list(sets['v1'].training_texts()) == list(sets['v2'].training_texts())
    assert sets['v2'].task(evaluated[1]).columns == ('record', 'user', 'target', 'candidates')


def test_prompts_show_the_keywords_and_the_candidates_of_the_workdir(corpus, workdir):
    made = tasks_of(workdir).build_over(corpus)
    first, second = made.task(f'{PREFIX}_recommend_retrieval').examples('test')
    assert (first['user'], sorted(first['candidates'].tolist())) == (1, [4, 5, 6])
    assert (second['user'], sorted(second['candidates'].tolist())) == (3, [7, 8, 9])
    assert 'The user likes jazz. ' in second['inputs']
    assert 'The user likes' not in first['inputs']
    assert made.facts['users_with_keywords'] == 1


def test_profiles_of_another_corpus_are_refused(corpus, workdir):
    other = dataclasses.replace(corpus, name='other')
    with pytest.raises(ValueError, match='the profiles are of the corpus'):
        tasks_of(workdir).build_over(other)
