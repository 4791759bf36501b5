"""A small mixture's results, as an evaluation would put them together."""

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.item_name_metrics import catalogue_estimates
from llmrec_jax.evaluation.metric_estimates import Measured
from llmrec_jax.evaluation.task_results import TaskResult

BOOTSTRAP = Bootstrap(resamples=50)


def task(template, family, group, answer, measured, floors, held_out=False):
    return TaskResult(
        task=f'p5_shop_{family}_{template.replace("-", "_")}',
        family=family,
        group=f'{family}_{group}',
        template=template,
        held_out=held_out,
        answer=answer,
        measured=measured,
        floors=floors,
        seconds=1.5,
    )


def text_task(template, family, group, answer, targets, predictions, floors, held_out=False):
    def measured(given):
        return answer_kind(answer).text_estimates(targets, given).measured(BOOTSTRAP)

    of_floors = {name: measured(given) for name, given in floors.items()}
    return task(template, family, group, answer, measured(predictions), of_floors, held_out)


def plain(**metrics):
    """Numbers without intervals."""
    return Measured({name.replace('__', '@'): value for name, value in metrics.items()}, {}, 100)


def mixture():
    stars = ['5.0', '4.0', '2.0', '5.0']
    means = {'global_mean': ['4.0'] * 4, 'user_mean': ['4.5', '4.5', '2.5', '4.5']}
    names = [f'item_{row}' for row in range(8)]
    beams = catalogue_estimates(names[:3], [names[:3], names[:3], names[4:]], names, ks=(1, 5)).measured(
        BOOTSTRAP
    )
    popularity = {'popularity': plain(hit_rate__1=0.1, hit_rate__5=0.2, ndcg__1=0.1, ndcg__5=0.15)}
    return [
        text_task('1-6', 'rating', 'stars', 'stars', stars, ['5.0', '4.0', '2.0', '4.0'], means),
        text_task('1-10', 'rating', 'stars', 'stars', stars, ['5.0', 'good', '2.0', '4.0'], means, True),
        text_task(
            '1-9', 'rating', 'stars', 'like', ['like', 'dislike'], ['like', 'like'],
            {'majority': ['like', 'like']},
        ),
        task('2-13', 'sequential', 'next_item', 'item', beams, popularity, held_out=True),
        task('2-3', 'sequential', 'next_item', 'item', beams, popularity),
        text_task(
            '3-9', 'explanation', 'sentence', 'sentence', ['it is <b>loud</b> and clear'] * 2,
            ['it is <b>loud</b> and clear', 'it is fine'], {'most_frequent_sentence': ['it is fine'] * 2},
        ),
    ]  # fmt: skip
