"""Low-rank adapters on the projections of a decoder: the same mechanism as a T5's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.models.lora import Lora, is_adapter, merged
from tests.models.decoder_only.small import EVERYTHING, LLAMA, model, random_params, task_batch

LORA = Lora(('.*self_attention/(query|value)', '.*mlp/w.*', '.*logits_dense'), rank=3, alpha=6.0)
# A head that is the embedding is no projection.
BODY = dataclasses.replace(LORA, patterns=LORA.patterns[:2])


def logits(config, params, batch):
    return jax.jit(model(config).compute_logits)(params, batch)


def stacked(params):
    """Parameters of scanned layers."""
    others = {name: value for name, value in params['decoder'].items() if not name.startswith('layers')}
    layers = [value for name, value in sorted(params['decoder'].items()) if name.startswith('layers')]
    return params | {'decoder': others | {'layers': jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)}}


@pytest.mark.parametrize(('config', 'lora'), [(LLAMA, LORA), (EVERYTHING, BODY)], ids=['llama', 'gemma'])
def test_adapted_and_merged_answer_alike(config, lora):
    adapting = dataclasses.replace(config, lora=lora)
    params = random_params(adapting)
    named = traverse_util.flatten_dict(params, sep='/')
    plain = traverse_util.unflatten_dict(
        {path: value for path, value in named.items() if not is_adapter(path)}, sep='/'
    )
    adapted = model(adapting)
    batch = adapted.convert_features(task_batch())
    expected = logits(adapting, params, batch)
    real = (batch['decoder_loss_weights'] > 0)[..., None]
    assert np.abs((expected - logits(config, plain, batch)) * real).max() > 0.05
    whole = merged(params, lora)
    np.testing.assert_allclose(logits(config, whole, batch) * real, expected * real, atol=2e-3)


def test_scanned_layers_and_continuations_have_the_adapters_too():
    adapting = dataclasses.replace(LLAMA, lora=LORA)
    scanning = dataclasses.replace(adapting, scan_layers=True)
    params = random_params(adapting)
    batch = model(adapting).convert_features(task_batch())
    prompt = model(adapting).convert_features({'inputs': task_batch()['inputs']})
    expected = jax.jit(model(adapting).score_batch)(params, batch)
    for config, given in ((adapting, params), (scanning, stacked(params))):
        scores = jax.jit(model(config).score_candidates)(given, prompt, task_batch()['targets'][:, None])
        np.testing.assert_allclose(scores[:, 0], expected, rtol=2e-3, atol=2e-3)


def test_dropout_is_on_where_there_is_a_key():
    adapting = dataclasses.replace(LLAMA, lora=dataclasses.replace(LORA, dropout=0.5), scan_layers=True)
    params, adapted = stacked(random_params(adapting)), model(adapting)
    batch = adapted.convert_features(task_batch())
    answer = jax.jit(adapted.compute_logits)
    one, other = (answer(params, batch, jax.random.key(seed)) for seed in (1, 2))
    assert not np.allclose(one, other)


def test_a_pattern_that_matches_no_projection():
    adapting = model(dataclasses.replace(LLAMA, lora=Lora(('.*/wi',))))
    with pytest.raises(ValueError, match=r"'\.\*/wi' matches no projection .* decoder/layers_\*/mlp/wi_0"):
        jax.eval_shape(
            lambda: adapting.get_initial_variables(jax.random.key(0), {'decoder_input_tokens': (1, 3)})
        )
