"""The whole road from inputs to beams, against transformers' constrained `generate` on the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.semantic_ids.trie import build_trie
from tests.decoding.t5_problem import LAYOUT, SIZES, t5_problem

BEAMS = 12


@pytest.mark.parity
@pytest.mark.parametrize('tied', [True, False])
def test_beams_and_scores_are_those_of_transformers(tmp_path, tied):
    torch = pytest.importorskip('torch')
    transformers = pytest.importorskip('transformers')
    problem = t5_problem(users=4)
    torch.manual_seed(0)
    peer = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=LAYOUT.vocab_size,
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            tie_word_embeddings=tied,
            decoder_start_token_id=0,
        )
    ).eval()
    peer.save_pretrained(tmp_path)
    config, params = load_hf(tmp_path)
    model = EncoderDecoderModel(module=Transformer(config), decode_fn=SemanticIdSearch(beam_size=BEAMS))
    beams = jax.jit(model.recommend)(
        params, {'encoder_input_tokens': jnp.asarray(problem.inputs)}, build_trie(problem.tokens)
    )

    rows = problem.tokens.tolist()

    def allowed_tokens(user, generated):
        prefix = generated[1:].tolist()
        return sorted({row[len(prefix)] for row in rows if row[: len(prefix)] == prefix})

    inputs = torch.tensor(problem.inputs, dtype=torch.long)
    found = peer.generate(
        inputs,
        attention_mask=(inputs > 0).long(),
        num_beams=BEAMS,
        num_return_sequences=BEAMS,
        max_new_tokens=len(SIZES),
        length_penalty=0.0,
        prefix_allowed_tokens_fn=allowed_tokens,
        return_dict_in_generate=True,
        output_scores=True,
    )
    expected = found.sequences[:, 1:].numpy().reshape(4, BEAMS, len(SIZES))
    np.testing.assert_array_equal(beams.tokens, expected)
    np.testing.assert_allclose(
        beams.scores, found.sequences_scores.detach().numpy().reshape(4, BEAMS), atol=1e-4
    )
