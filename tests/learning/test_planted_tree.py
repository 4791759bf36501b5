"""Walks on a planted tree: codes of the tree reach items that nobody had, and random codes do not.

Items lie on a 4-ary tree of Gaussians, and a user stays in a branch with probability .8 (papers: TIGER). The
model is told of an item by its codes alone. One arm differs from another in nothing but the codes.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.category_entropy import category_entropy
from llmrec_jax.evaluation.unseen_items import quota_ranks, with_prefix_matches
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue, CodedCatalogueFacts
from llmrec_jax.models.generative_sequential.coded_items import CodedItems
from llmrec_jax.models.generative_sequential.heads import AutoregressiveHeads
from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.semantic_ids.code_table import build_code_table
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.untrained_quantizers import Lsh, RandomCodes
from llmrec_jax.systems.generative_sequential.retrieval import CodeBeamRecommender
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import WarmupCosine
from llmrec_jax.training.trainer import Trainer
from tests.semantic_ids.planted import gaussian_tree

pytestmark = pytest.mark.slow

N_ITEMS, UNSEEN, LENGTH, STAY, DIM, STEPS = 320, 32, 7, 0.8, 16, 250
SIZES = (16, 8, 8)
QUANTIZERS = {'tree': ResidualKMeans(SIZES), 'lsh': Lsh(3, 3), 'random': RandomCodes(SIZES)}
K, QUOTA = 10, 0.3


@dataclasses.dataclass(frozen=True)
class Planted:
    """Vectors, branches, and which items training does not have."""

    vectors: np.ndarray
    branch: np.ndarray
    unseen: np.ndarray

    def walk(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Histories of seen items, and as a last column the branch that comes next."""
        branches = [rng.integers(0, 16, rows)]
        for _ in range(LENGTH):
            moved = rng.integers(0, 16, rows)
            branches.append(np.where(rng.random(rows) < STAY, branches[-1], moved))
        branches = np.stack(branches, axis=1)
        return np.concatenate([self.drawn(rng, branches[:, :-1], False), branches[:, -1:]], axis=1)

    def drawn(self, rng: np.random.Generator, branches: np.ndarray, unseen: bool) -> np.ndarray:
        """An item of each branch, seen or unseen."""
        found = np.empty(branches.shape, np.int64)
        for branch in range(16):
            here = branches == branch
            items = np.flatnonzero((self.branch == branch) & (self.unseen == unseen))
            found[here] = rng.choice(items, here.sum())
        return found


@pytest.fixture(scope='module')
def planted():
    vectors, labels = gaussian_tree(N_ITEMS, seed=5)
    branch = labels[:, 0] * 4 + labels[:, 1]
    unseen = np.zeros(N_ITEMS, bool)
    for number in range(16):
        unseen[np.flatnonzero(branch == number)[: UNSEEN // 16]] = True
    return Planted(vectors, branch, unseen)


def cases_of(rows: np.ndarray, targets: np.ndarray) -> RankingCases:
    offsets = np.arange(len(rows) + 1) * rows.shape[1]
    return RankingCases(np.arange(len(rows)), Sequences(rows.reshape(-1), offsets), targets)


def trained(planted: Planted, quantizer, folder) -> tuple[CodeBeamRecommender, np.ndarray]:
    """A retriever that knows items by these codes, and the codes."""
    table, _ = build_code_table(planted.vectors, quantizer, seed=0)
    facts = CodedCatalogueFacts(N_ITEMS, np.ones(N_ITEMS), coded=CodedCatalogue.of(table))
    config = SASRecConfig(max_length=LENGTH, num_layers=1, dropout_rate=0.0, block_order='pre_norm')
    model = GenerativeSequentialModel(
        item_encoder=CodedItems(DIM, own_vectors=False),
        sequence_encoder=SASRecEncoder(config),
        loss=FullSoftmax(),
        heads=AutoregressiveHeads(DIM, hidden_dim=32, out_dim=16, item_vectors=False),
    ).for_catalogue(facts)
    trainer = Trainer(
        steps=STEPS,
        feature_lengths={'items': LENGTH},
        bucketed_feature='items',
        optimizer=AdamW(WarmupCosine(peak=1e-2, warmup_steps=20, total_steps=STEPS), b2=0.98),
        batch_size=64,
        mesh=MeshShape(data=1),
        checkpoint_every=STEPS,
    )
    histories = planted.walk(np.random.default_rng(1), 500)[:, :-1]
    result = trainer.fit(model, write_columns(folder / 'store', {'items': histories + 1}, {}), folder / 'run')
    mesh, rules = trainer.mesh.build(), trainer.logical_axis_rules
    params = jax.tree.map(jnp.asarray, load_params(result.checkpoint))
    return CodeBeamRecommender(model, params, mesh, rules, LENGTH, 50, batch_size=200), table.codes


@pytest.fixture(scope='module')
def arms(planted, tmp_path_factory):
    """Each quantizer's retriever and codes."""
    return {
        name: trained(planted, quantizer, tmp_path_factory.mktemp(name))
        for name, quantizer in QUANTIZERS.items()
    }


@pytest.fixture(scope='module')
def asked(planted):
    """Histories, and the branch that comes next."""
    rows = planted.walk(np.random.default_rng(2), 1000)
    return rows[:, :-1], rows[:, -1]


def recall(arms, name, cases):
    found = arms[name][0].recommend(cases, K, seen_items='kept')
    return float((found.target_rank > 0).mean())


def unseen_recall(planted, arms, name, cases):
    """The best of the prefixes' lengths."""
    recommender, codes = arms[name]
    found = recommender.recommend(cases, 50, seen_items='kept').items
    return max(
        float(
            (
                quota_ranks(
                    with_prefix_matches(found, codes[:, :levels], planted.unseen, cases, seen_items='kept'),
                    planted.unseen, cases.target, K, QUOTA,
                ) > 0
            ).mean()
        )
        for levels in range(1, codes.shape[1])
    )  # fmt: skip


def test_codes_of_the_tree_learn_more_from_little_than_random_ones(planted, arms, asked):
    histories, branches = asked
    cases = cases_of(histories, planted.drawn(np.random.default_rng(3), branches, False))
    found = {name: recall(arms, name, cases) for name in arms}
    # Ten of the eighteen seen items of the branch that is stayed in.
    assert found['tree'] > 0.7 * STAY * 10 / 18
    assert found['tree'] > found['lsh'] > found['random'] + 0.1


def test_unseen_items_are_reached_by_codes_of_content_alone(planted, arms, asked):
    histories, branches = asked
    cases = cases_of(histories, planted.drawn(np.random.default_rng(4), branches, True))
    found = {name: unseen_recall(planted, arms, name, cases) for name in arms}
    chance = int(QUOTA * K) / UNSEEN
    assert found['tree'] > found['lsh'] > 3 * chance
    # Sixteen branches have three slots each, so that chance itself varies by .04.
    assert found['random'] < chance + 0.12


def test_lists_do_not_lose_variety_with_temperature(planted, arms, asked):
    cases = cases_of(asked[0], np.zeros(len(asked[0]), np.int64))
    recommender, _ = arms['tree']
    found = []
    for temperature in (1.0, 1.5, 2.0):
        listed = recommender.searching(50, temperature).recommend(cases, K, seen_items='kept').items
        found.append(category_entropy(listed, planted.branch, K).mean())
    assert found == sorted(found)
    assert found[2] > found[0]
