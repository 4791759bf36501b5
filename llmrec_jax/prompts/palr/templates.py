"""The instructions: recommend from the history alone, and choose from candidates.

The paper's own wording is not public; these keep its parts: the task, the profile's keywords, up to twenty
titles of history, the candidates, and a comma-separated list of quoted titles as the answer.
"""

from llmrec_jax.prompts.template import Listing, Template

FAMILY = 'palr'
RECOMMEND, RECOMMEND_RETRIEVAL = 'recommend', 'recommend_retrieval'
# Evaluates alone: asks as the second instruction does, of candidates that are drawn as in training.
RECOMMEND_DRAWN = 'recommend_drawn'
_HISTORY = Listing('{history_title}', ' | ')
_CANDIDATES = Listing('{candidate_title}', ' | ')
_ANSWER = Listing('"{target_title}"', ', ')

TEMPLATES = (
    Template(
        id='recommend',
        family=FAMILY,
        group=RECOMMEND,
        inputs='Recommend {wanted} other items based on the history. {profile}History: {history}.',
        targets='{answer}',
        lists={'history': _HISTORY, 'answer': _ANSWER},
    ),
    Template(
        id='recommend_retrieval',
        family=FAMILY,
        group=RECOMMEND_RETRIEVAL,
        inputs='Recommend {wanted} of the candidates based on the history. {profile}History: {history}. '
        'Candidates: {candidates}.',
        targets='{answer}',
        lists={'history': _HISTORY, 'candidates': _CANDIDATES, 'answer': _ANSWER},
    ),
)


def profile_text(keywords: tuple[str, ...]) -> str:
    """What the prompts say of a user's keywords, with a blank behind it; '' of none."""
    return f'The user likes {", ".join(keywords)}. ' if keywords else ''
