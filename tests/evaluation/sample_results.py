"""A small run's results, as a launcher would put them together."""

from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.results import Results


def numbers(recall: float) -> dict:
    return {
        'recall@5': recall / 2,
        'ndcg@5': recall / 3,
        'recall@10': recall,
        'ndcg@10': recall / 2,
        'mrr@10': recall / 4,
        'intervals': {'recall@10': [recall - 0.01, recall + 0.01]},
        'coverage@10': 0.5,
        'users_per_second': 1234.5,
    }


def ceiling(recall: float) -> dict:
    return {'recall@5': recall / 2, 'ndcg@5': recall / 3, 'recall@10': recall, 'ndcg@10': recall / 2}


def comparison(system: str, other: str, difference: float) -> dict:
    return {
        'system': system,
        'other': other,
        'metric': 'recall@10',
        'split': 'test',
        'seen_items': 'kept',
        'difference': difference,
        'low': difference - 0.01,
        'high': difference + 0.01,
        'p_value': 0.0005,
    }


def sample_fields() -> dict:
    return {
        'protocol': Protocol().as_dict(),
        'systems': {
            'test': {'tiger': numbers(0.3), 'popularity': numbers(0.05), 'ceiling': ceiling(0.4)},
            'validation': {'tiger': numbers(0.31)},
            'test_seen_removed': {'tiger': numbers(0.32)},
        },
        'corpus': {'name': 'simulated_shop/tiny', 'users': 100, 'items': 60, 'events': 900},
        'environment': {'versions': {'python': '3.11'}, 'seed': 0, 'commit': None},
        'stages': [
            {'name': 'corpus', 'seconds': 1.5, 'reused': True, 'peak_memory_mb': 300.0},
            {'name': 'train', 'seconds': 20.0, 'reused': False, 'peak_memory_mb': 900.5},
        ],
        'comparisons': [comparison('popularity', 'tiger', -0.25)],
        'semantic_ids': {'collision_rate': 0.04, 'quantizers': [{'name': 'lsh', 'usage': 0.5}]},
        'training': {'steps': 100},
        'decoding': {'invalid_rate': 0.0},
    }


def sample_results() -> Results:
    return Results(**sample_fields())
