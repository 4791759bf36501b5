"""A small run's results, as a launcher would put them together."""

from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.results import Results
from llmrec_jax.evaluation.sampled_protocol import SampledProtocol


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


def measured(recall: float, *metrics: str, users: int) -> dict:
    intervals = {metric: [recall - 0.01, recall + 0.01] for metric in metrics}
    return {**dict.fromkeys(metrics, recall), 'intervals': intervals, 'examples': users}


def sample_fields() -> dict:
    slices = {
        'items': {'0': measured(0.2, 'recall@10', users=1234), '1+': measured(0.4, 'recall@10', users=70)},
        'users': {'5+': measured(0.3, 'recall@10', users=1304)},
    }
    of_21 = ('recall@5_of_21_uniform', 'ndcg@5_of_21_uniform')
    protocol = SampledProtocol(negatives=20, excluded='training', ks=(5,), seed=3).as_dict()
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
        'headline': 'tiger',
        'floors': ['popularity'],
        'comparisons': [comparison('popularity', 'tiger', -0.25)],
        'semantic_ids': {'collision_rate': 0.04, 'quantizers': [{'name': 'lsh', 'usage': 0.5}]},
        'training': {'steps': 100},
        'decoding': {'invalid_rate': 0.0},
        'cold_start': {'tiger': slices},
        'sampled': [
            {
                'protocol': protocol,
                'suffix': '_of_21_uniform',
                'systems': {'tiger': measured(0.75, *of_21, users=100)},
            }
        ],
        'serving': {'tiger': {'full_list': {'median': 0.125}}},
    }


def sample_results() -> Results:
    return Results(**sample_fields())
