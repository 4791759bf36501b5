"""Workdirs of runs that nobody trained, in the form that the library's own writers give them."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax import files
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.evaluator import Evaluator
from llmrec_jax.evaluation.per_user import PerUserResults, per_user_path
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.recommendations import Recommendations, from_dense
from llmrec_jax.evaluation.results import CEILING, RESULTS_FILE, Results, section
from llmrec_jax.runs.record import StageRecord, record_path
from llmrec_jax.stages.ranking_report import stage_costs
from tests.evaluation.ranking_cases import ranking_cases

USERS, ITEMS = 60, 30
FLOORS = {'popularity': 0.5, 'markov': 1.5}
CORPUS = {'name': 'simulated_shop/tiny', 'users': USERS, 'items': ITEMS, 'events': 400, 'fingerprint': 'f00d'}
MACHINE = {'cpu': 'a processor', 'cores': 2, 'accelerators': []}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HandMadeRun:
    """What a workdir is made from.

    Attributes:
      system: what the run is about.
      skill: how far its scores favour the item that came next.
      seed: of the training.
      width: a setting of the network.
      seen_items: the protocol's own position.
      positions: that the lists are there for.
      users: who is asked.
      corpus: facts of the corpus.
      protocol: switches that differ.
      floors: systems that learn nothing, and their skill.
      training: facts of the training stage that differ, 'absent' where there is none; None for a run that was
        not trained.
      ceiling: of NDCG@10, where it is known.
      ks: cut-offs.
      targets: a seed that draws what came next.
      version: changes what a floor ranks.
      others: further systems that were trained, and their skill.
    """

    system: str = 'sasrec'
    skill: float = 2.0
    seed: int = 0
    width: int = 16
    seen_items: str = 'kept'
    positions: Sequence[str] = ('kept', 'removed')
    users: Sequence[int] = tuple(range(USERS))
    corpus: Mapping[str, Any] = dataclasses.field(default_factory=lambda: CORPUS)
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    floors: Mapping[str, float] = dataclasses.field(default_factory=lambda: FLOORS)
    training: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    ceiling: float | None = 0.9
    ks: Sequence[int] = (5, 10)
    targets: int = 0
    version: int = 0
    others: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        """Writes the workdir."""
        cases, main = self._cases(), Protocol('test', self.seen_items, self.ks)
        judged: dict[str, dict] = {}
        stages = {'floors': self.floors}
        if self.training is not None:
            stages['evaluate'] = {self.system: self.skill, **self.others}
        for position in self.positions:
            protocol = Protocol('test', position, self.ks)
            evaluator, here = Evaluator(protocol, bootstrap=Bootstrap(seed=self.seed)), {}
            for stage, systems in stages.items():
                found = PerUserResults(
                    cases.user,
                    cases.target,
                    {name: self._lists(name, skill, cases, position) for name, skill in systems.items()},
                    {name: 0.25 for name in systems},
                )
                found.save(folder / per_user_path(stage, 'test', position))
                for name, lists in found.systems.items():
                    here[name] = evaluator.judge(name, lists, cases, 0.25).as_dict()
            if self.ceiling is not None:
                here[CEILING] = {f'{kind}@{k}': self.ceiling for k in self.ks for kind in ('recall', 'ndcg')}
            judged[section(protocol, main)] = here
        records = self._records(folder)
        phases = {'corpus': 'prepare', 'train': 'train', 'evaluate': 'evaluate', 'floors': 'evaluate'}
        Results(
            protocol={**main.as_dict(), **self.protocol},
            systems=judged,
            corpus=self.corpus,
            environment={'seed': self.seed, 'commit': None, 'machine': MACHINE, 'versions': {}},
            stages=stage_costs(records, phases),
            headline=self.system,
            floors=list(self.floors),
            training=records[1].facts if self.training is not None else {},
        ).save(folder / RESULTS_FILE)
        return folder

    def _cases(self) -> RankingCases:
        drawn = np.random.default_rng(self.targets).integers(ITEMS, size=USERS)
        all_users = ranking_cases([[0, 1, 2]] * USERS, drawn.tolist())
        return all_users.select(np.asarray(self.users))

    def _lists(self, name: str, skill: float, cases: RankingCases, position: str) -> Recommendations:
        is_floor = name in self.floors
        drawn = [sum(name.encode()), len(position), self.version if is_floor else 1000 + self.seed]
        scores = np.random.default_rng(drawn).normal(size=(USERS, ITEMS))[cases.user]
        scores[np.arange(len(cases)), cases.target] += skill
        return from_dense(scores, cases.target, max(self.ks))

    def _records(self, folder: pathlib.Path) -> list[StageRecord]:
        trainer = {'class': 'Trainer', 'seed': self.seed, 'steps': 20, 'batch_size': 8}
        network = {'class': 'Network', 'width': self.width}
        draw = {'class': 'CaseDraw', 'seed': self.seed}
        settings = {'source': 'shop', 'name': self.corpus['name'], 'settings': {'seed': 0}, 'files': {}}
        told = {
            'first_step': 0,
            'final_step': 20,
            'parameters': 10 * self.width,
            'training_seconds': 12.5 + self.seed,
            'examples_per_second': 16.0,
            'peak_device_bytes': None,
            **(self.training or {}),
        }
        told = {name: value for name, value in told.items() if value != 'absent'}
        records = [self._record('corpus', {'class': 'PrepareCorpus', 'corpus': settings}, dict(self.corpus))]
        if self.training is not None:
            config = {'class': 'Train', 'network': network, 'trainer': trainer}
            asked = {'class': 'Evaluate', 'system': self.system, 'trainer': trainer, 'draw': draw}
            records += [self._record('train', config, told), self._record('evaluate', asked, {})]
        records.append(self._record('floors', {'class': 'MeasureBaselines', 'draw': draw}, {}))
        for record in records:
            files.write_json(record_path(folder, record.name), dataclasses.asdict(record))
        return records

    def _record(self, name: str, config: Any, facts: dict[str, Any]) -> StageRecord:
        return StageRecord(name, f'{name} {self.seed}', config, 1.5 + self.seed, 500.0 + self.seed, facts)
