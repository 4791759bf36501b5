"""The schema of `results.json`: what a run reached, under which protocol, with what, and in what time."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmrec_jax import files
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT
from llmrec_jax.evaluation.protocol import SPLITS, Protocol

# Where in a workdir they lie.
RESULTS_FILE = 'results.json'
# What no system can expect to exceed, and what ranking by the corpus's own law reached on the targets drawn.
CEILING = 'ceiling'
LAW_ATTAINED = 'law_attained'
# What whoever chooses from a retriever's candidates can reach: the target first wherever it is among them.
CANDIDATE_CAP = 'candidate_cap'
BOUNDS = (CEILING, LAW_ATTAINED, CANDIDATE_CAP)
_STAGE_FIELDS = ('name', 'seconds', 'reused', 'peak_memory_mb')
_SAMPLED_FIELDS = ('protocol', 'suffix', 'systems')
_COMPARISON_FIELDS = (
    'system',
    'other',
    'metric',
    'split',
    'seen_items',
    'difference',
    'low',
    'high',
    'p_value',
)


def metric_suffix(protocol: Mapping[str, Any]) -> str:
    """What names of metrics end in where they are kept, by `Protocol.as_dict`; '' under leave-last-out."""
    rule = protocol.get('split_rule', LEAVE_LAST_OUT.name)
    return '' if rule == LEAVE_LAST_OUT.name else f'_{rule}'


def section(protocol: Protocol, main: Protocol) -> str:
    """Where in `results.json` the systems evaluated under `protocol` stand.

    The run's main protocol owns 'test' and 'validation'; another switch of seen items is named beside it,
    e.g. 'test_seen_removed'.
    """
    if protocol.seen_items == main.seen_items:
        return protocol.split
    return f'{protocol.split}_seen_{protocol.seen_items}'


@dataclasses.dataclass(frozen=True)
class Results:
    """Everything in `results.json`.

    Under any split but leave-last-out the file has names of metrics that end in the split's, such as
    `recall@10_global_temporal`, so that none can pass for another; in memory they are `recall@10`.

    Attributes:
      protocol: `Protocol.as_dict` of the main protocol.
      systems: section ('test', 'validation', 'test_seen_removed', ...), then system, then its numbers as
        `SystemResult.as_dict` gives them. The bounds of a simulated corpus are systems too, see `BOUNDS`.
      corpus: name and statistics of the corpus.
      environment: see `environment.environment`.
      stages: one record a stage: `name`, `seconds`, `reused`, `peak_memory_mb`, and its `phase`.
      headline: the system that the run is about; None where that is not recorded.
      floors: the systems that learn nothing.
      comparisons: paired comparisons as `Evaluator.compare` gives them.
      semantic_ids: diagnostics of the code table.
      training: e.g. steps, examples per second, best step.
      decoding: e.g. beam size, share of invalid items.
      sampled: entries as `sampled_protocol.sampled_record` gives them, one a protocol. Their metrics end in
        the protocol's suffix, so that none can pass for one of the whole catalogue.
      cold_start: system, then 'items', 'users' or 'transitions', then the slices of
        `cold_start.cold_start_record`, each as `Measured.as_dict` gives it; on the test split under the main
        protocol.
      generative: what was found out about a generative retriever: 'code_levels', system to the records of
        `code_levels.code_levels` on the test split under the main protocol; 'unseen_items' and 'diversity',
        what their stages told, where they were asked for.
      serving: system or index to what it takes, see `serving.Serving` and `serving.IndexCost`.
    """

    protocol: Mapping[str, Any]
    systems: Mapping[str, Mapping[str, Mapping[str, Any]]]
    corpus: Mapping[str, Any]
    environment: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]]
    headline: str | None = None
    floors: Sequence[str] = ()
    comparisons: Sequence[Mapping[str, Any]] = ()
    semantic_ids: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    decoding: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sampled: Sequence[Mapping[str, Any]] = ()
    cold_start: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    generative: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    serving: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        """Checks the schema.

        Raises:
          ValueError: naming the field, when one is missing or is not what it should be.
        """
        if 'ks' not in self.protocol:
            raise ValueError("results: 'protocol' has no 'ks'; give Protocol.as_dict()")
        for name, systems in self.systems.items():
            if not _is_section(name):
                raise ValueError(f'results: {name!r} is no section; sections begin with one of {SPLITS}')
            for system, numbers in systems.items():
                _check_system(f'{name}.{system}', numbers, self.protocol['ks'])
        for fields, records, kind in (
            (_STAGE_FIELDS, self.stages, 'stages'),
            (_COMPARISON_FIELDS, self.comparisons, 'comparisons'),
            (_SAMPLED_FIELDS, self.sampled, 'sampled'),
        ):
            for position, record in enumerate(records):
                absent = [field for field in fields if field not in record]
                if absent:
                    raise ValueError(f'results: {kind}[{position}] has no {absent[0]!r}')
        _check_sampled(self.sampled)
        _check_finite('results', self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The JSON object: sections beside the other fields."""
        others = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != 'systems'
        }
        return _named_by_split({**self.systems, **others}, lambda name, suffix: name + suffix)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'Results':
        """Reads what `as_dict` gave.

        Raises:
          ValueError: naming the field, when one is missing or unknown.
        """
        values = _named_by_split(values, lambda name, suffix: name.removesuffix(suffix))
        names = {field.name for field in dataclasses.fields(cls)} - {'systems'}
        systems = {name: value for name, value in values.items() if _is_section(name)}
        others = {name: value for name, value in values.items() if name not in systems}
        unknown = sorted(others.keys() - names)
        if unknown:
            raise ValueError(f'results: unknown field {unknown[0]!r}; there are {sorted(names)}')
        absent = [name for name in ('protocol', 'corpus', 'environment', 'stages') if name not in others]
        if absent:
            raise ValueError(f'results: the field {absent[0]!r} is missing')
        return cls(systems=systems, **others)

    def save(self, path: pathlib.Path) -> None:
        """Writes `results.json`, of which a reader never sees half."""
        files.write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: pathlib.Path) -> 'Results':
        """Reads `results.json`.

        Raises:
          FileNotFoundError: when there is no such file.
          ValueError: naming the file, when it is not JSON or not of this schema.
        """
        try:
            return cls.from_dict(json.loads(files.read_text(path)))
        except (json.JSONDecodeError, ValueError) as error:
            raise ValueError(f'{path}: {error}') from error


def _named_by_split(content: Mapping[str, Any], rename: Callable[[str, str], str]) -> Mapping[str, Any]:
    """The content with the metrics renamed of whatever is measured on the split."""
    suffix = metric_suffix(content.get('protocol', {}))
    if not suffix:
        return content

    def renamed(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                rename(name, suffix) if '@' in name else name: rename(one, suffix)
                if name in ('metric', 'suffix')
                else renamed(one)
                for name, one in value.items()
            }
        return [renamed(one) for one in value] if isinstance(value, list | tuple) else value

    measured = ('cold_start', 'sampled', 'comparisons')
    return {
        name: renamed(value) if _is_section(name) or name in measured else value
        for name, value in content.items()
    }


def _is_section(name: str) -> bool:
    return name.partition('_')[0] in SPLITS


def _check_system(where: str, numbers: Mapping[str, Any], ks: Sequence[int]) -> None:
    for metric in (f'{kind}@{k}' for k in ks for kind in ('recall', 'ndcg')):
        value = numbers.get(metric)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 + 1e-9:
            raise ValueError(f'results: {where}.{metric} is {value!r}; it must be a number in 0..1')
    for metric, ends in numbers.get('intervals', {}).items():
        if len(ends) != 2 or not ends[0] <= ends[1]:
            raise ValueError(f'results: {where}.intervals.{metric} is {ends!r}; it must be [low, high]')


def _check_sampled(records: Sequence[Mapping[str, Any]]) -> None:
    for position, record in enumerate(records):
        for system, numbers in record['systems'].items():
            for name in numbers.keys() - {'intervals', 'examples'}:
                if not name.endswith(record['suffix']):
                    raise ValueError(
                        f'results: sampled[{position}].{system}.{name} must end in {record["suffix"]!r}, '
                        'because it is no figure of the whole catalogue'
                    )


def _check_finite(where: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'{where} is {value}; JSON has no such number, leave it out or mend what gave it')
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _check_finite(f'{where}.{name}', entry)
    elif isinstance(value, list | tuple):
        for position, entry in enumerate(value):
            _check_finite(f'{where}[{position}]', entry)
