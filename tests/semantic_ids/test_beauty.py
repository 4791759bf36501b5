"""The bar on real data: every codebook in use, and hardly an item without learned codes of its own."""

import pytest

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.semantic_ids.diagnostics import diagnose
from llmrec_jax.semantic_ids.residual_kmeans import ResidualKMeans
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.text.item_text import item_sentences
from llmrec_jax.text.tfidf import TfidfSvd
from tests.evaluation.amazon_beauty import DIRECTORY


@pytest.fixture(scope='module')
def vectors():
    if not (DIRECTORY / 'items.jsonl').is_file():
        pytest.skip(f'{DIRECTORY} is not here')
    items = SequenceFiles(str(DIRECTORY), relabel_seed=None).build().items
    return TfidfSvd(dim=256).encode(item_sentences(items))


@pytest.mark.slow
@pytest.mark.parametrize('quantizer', [RqVae(steps=500), ResidualKMeans()], ids=['rq_vae', 'residual_kmeans'])
def test_codebooks_are_in_use_and_items_have_codes_of_their_own(quantizer, vectors):
    found = diagnose(quantizer.quantize(vectors, 0), vectors)
    assert min(found['usage']) >= 0.95
    assert found['collision_rate'] < 0.10
    # Without telling items apart at the last level: what near-duplicate texts cost these codebooks.
    assert 0.15 < found['nearest_collision_rate'] < 0.45
    assert found['prefix_similarity'][0] > found['random_similarity'] + 0.3
    assert found['prefix_similarity'][1] > found['prefix_similarity'][0] + 0.1
