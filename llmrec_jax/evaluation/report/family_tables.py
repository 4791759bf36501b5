"""What systems reached on the tasks of a mixture, a table a family: seen templates, held-out ones, floors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.metric_estimates import Measured
from llmrec_jax.evaluation.report.metric_names import leads, which_is_best
from llmrec_jax.evaluation.task_results import TaskResult

SEEN, HELD_OUT, FLOOR = 'seen', 'held out', 'floor'
# What the tables' numbers are, for whoever shows them.
NOTE = (
    'Floors learn nothing but counts and means, and are measured on the same examples. Intervals are 95 % '
    'bootstrap intervals over examples. An answer that cannot be parsed counts as wrong. BLEU and ROUGE are '
    'in percent.'
)


@dataclasses.dataclass(frozen=True)
class TableRow:
    """One line of a block.

    Attributes:
      system: the trained system's name, or the floor's.
      kind: `SEEN` or `HELD_OUT`, what the template is to the system, or `FLOOR`.
      templates: ids of the templates that the numbers are of; a floor has several where it does not depend on
        the wording.
      measured: the numbers.
    """

    system: str
    kind: str
    templates: tuple[str, ...]
    measured: Measured


@dataclasses.dataclass(frozen=True)
class FamilyBlock:
    """Tasks of one group whose answers are of one kind.

    Attributes:
      group: e.g. 'sequential_next_item'.
      answer: e.g. 'item'.
      rows: systems on seen templates, on held-out ones, then floors.
    """

    group: str
    answer: str
    rows: tuple[TableRow, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that are shown, the main one first."""
        return answer_kind(self.answer).shown_metrics([row.measured.metrics for row in self.rows])

    @property
    def main(self) -> str:
        """Name of the metric that the block is about."""
        return answer_kind(self.answer).main_metric([row.measured.metrics for row in self.rows])

    def best(self, metric: str) -> float | None:
        """The best value in the block; None where no value is better than another by its name."""
        values = [row.measured.metrics[metric] for row in self.rows if metric in row.measured.metrics]
        place = which_is_best(metric, values)
        return None if place is None else values[place]

    def best_floor(self, row: TableRow) -> TableRow | None:
        """The floor that leads by the main metric on the row's templates; None where there is none."""
        floors = [
            floor
            for floor in self.rows
            if floor.kind == FLOOR
            and set(row.templates) <= set(floor.templates)
            and self.main in floor.measured.metrics
        ]
        place = which_is_best(self.main, [floor.measured.metrics[self.main] for floor in floors])
        return None if place is None else floors[place]

    def beats_floors(self, row: TableRow) -> bool | None:
        """Whether a row's main metric is better than the best floor's; None where one is not there."""
        floor = self.best_floor(row)
        if floor is None or self.main not in row.measured.metrics:
            return None
        return leads(self.main, row.measured.metrics[self.main], floor.measured.metrics[self.main])


@dataclasses.dataclass(frozen=True)
class FamilyTable:
    """One family of tasks.

    Attributes:
      family: e.g. 'rating'.
      blocks: its groups by kind of answer, in the order of the tasks.
    """

    family: str
    blocks: tuple[FamilyBlock, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            'family': self.family,
            'blocks': [
                {
                    'group': block.group,
                    'answer': block.answer,
                    'main_metric': block.main,
                    'rows': [
                        {
                            'system': row.system,
                            'kind': row.kind,
                            'templates': list(row.templates),
                            **row.measured.as_dict(),
                        }
                        for row in block.rows
                    ],
                }
                for block in self.blocks
            ],
        }


def family_tables(systems: Mapping[str, Sequence[TaskResult]]) -> tuple[FamilyTable, ...]:
    """A table for each family that there are results of.

    Args:
      systems: name of a system -> its results; several where they are to be compared, as one that learned a
        mixture beside others that learned a family alone. Floors are those of the first system that has the
        task.
    """
    results = [(system, result) for system, of_system in systems.items() for result in of_system]
    families = dict.fromkeys(result.family for _, result in results)
    tables = []
    for family in families:
        of_family = [(system, result) for system, result in results if result.family == family]
        kinds = dict.fromkeys((result.group, result.answer) for _, result in of_family)
        blocks = tuple(
            _block(
                group, answer, [one for one in of_family if (one[1].group, one[1].answer) == (group, answer)]
            )
            for group, answer in kinds
        )
        tables.append(FamilyTable(family, blocks))
    return tuple(tables)


def _block(group: str, answer: str, results: Sequence[tuple[str, TaskResult]]) -> FamilyBlock:
    trained = [
        TableRow(system, HELD_OUT if result.held_out else SEEN, (result.template,), result.measured)
        for system, result in results
    ]
    # Of one template, systems stand one under the other.
    order = {
        template: place for place, template in enumerate(dict.fromkeys(row.templates for row in trained))
    }
    trained.sort(key=lambda row: (row.kind == HELD_OUT, order[row.templates]))
    return FamilyBlock(group, answer, (*trained, *_floor_rows([result for _, result in results])))


def _floor_rows(results: Sequence[TaskResult]) -> list[TableRow]:
    """Floors, one row for all templates on which a floor measures the same."""
    rows: dict[tuple[str, int], TableRow] = {}
    measured: dict[str, list[Measured]] = {}
    for result in {result.template: result for result in reversed(results)}.values():
        for name, floor in result.floors.items():
            known = measured.setdefault(name, [])
            if floor not in known:
                known.append(floor)
            place = (name, known.index(floor))
            templates = rows[place].templates if place in rows else ()
            rows[place] = TableRow(name, FLOOR, (result.template, *templates), floor)
    names = dict.fromkeys(name for result in results for name in result.floors)
    order = {name: place for place, name in enumerate(names)}
    return [rows[place] for place in sorted(rows, key=lambda place: (order[place[0]], rows[place].templates))]
