"""What systems are called on a page: as their papers write them, or their names in words."""

from llmrec_jax.evaluation.report.markup import sentence_case
from llmrec_jax.evaluation.results import CANDIDATE_CAP, CEILING, LAW_ATTAINED

LABELS = {
    'tiger': 'TIGER',
    'sasrec': 'SASRec',
    'gru4rec': 'GRU4Rec',
    'bert4rec': 'BERT4Rec',
    'p5': 'P5',
    'palr': 'PALR',
    'rsllm': 'RSLLM',
    'llara': 'LLaRA',
    'unisrec': 'UniSRec',
    'vq_rec': 'VQ-Rec',
    'zesrec': 'ZESRec',
    'popularity': 'Popularity',
    'item_knn': 'Item-kNN',
    'markov': 'Markov',
    'decayed_markov': 'Decayed Markov',
    'category_markov': 'Category Markov',
    'content_scann': 'Content, last item',
    'content_scann_mean': 'Content, history mean',
    CEILING: 'Ceiling',
    CANDIDATE_CAP: 'Cap: the target is among the candidates',
    LAW_ATTAINED: 'The law itself, on these targets',
}


def system_label(system: str) -> str:
    """A name of results on a page.

    >>> system_label('sasrec_bce'), system_label('llara'), system_label('two_tower')
    ('SASRec bce', 'LLaRA', 'Two tower')
    """
    known = [name for name in LABELS if f'{system}_'.startswith(f'{name}_')]
    if not known:
        return sentence_case(system.replace('_', ' '))
    name = max(known, key=len)
    return f'{LABELS[name]}{system[len(name) :]}'.replace('_', ' ')
