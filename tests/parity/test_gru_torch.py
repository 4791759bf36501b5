"""GRU4Rec's recurrent layer against torch's, on the same random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.gru import GRULayer

pytestmark = pytest.mark.parity
BATCH, LENGTH, INPUTS, HIDDEN = 3, 7, 6, 5


def test_states_and_gradients_agree():
    torch = pytest.importorskip('torch')
    torch.manual_seed(0)
    theirs = torch.nn.GRU(INPUTS, HIDDEN, batch_first=True)
    tensors = {name: parameter.detach().numpy() for name, parameter in theirs.named_parameters()}
    # torch has a second bias in every gate, of which only the candidate's is not the same as the first.
    second = tensors['bias_hh_l0'].reshape(3, HIDDEN)
    params = {
        'kernel': np.moveaxis(tensors['weight_ih_l0'].reshape(3, HIDDEN, INPUTS), 2, 0),
        'recurrent_kernel': np.moveaxis(tensors['weight_hh_l0'].reshape(3, HIDDEN, HIDDEN), 2, 0),
        'bias': tensors['bias_ih_l0'].reshape(3, HIDDEN) + second * np.array([[1], [1], [0]], np.float32),
        'candidate_bias': second[2],
    }
    inputs = np.random.default_rng(0).standard_normal((BATCH, LENGTH, INPUTS)).astype(np.float32)
    # Rows of 7, 4 and 1 items: torch starts them all at its first column, ours end at the last.
    lengths = np.array([7, 4, 1])
    mask = np.arange(LENGTH) >= LENGTH - lengths[:, None]
    layer = GRULayer(HIDDEN)

    def total(params, inputs):
        states = layer.apply({'params': params}, inputs, jnp.asarray(mask))
        return (states * jnp.asarray(mask)[..., None]).sum(), states

    (_, ours), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(params, inputs)
    loss = 0
    for row, length in enumerate(lengths):
        expected, _ = theirs(torch.tensor(inputs[row : row + 1, LENGTH - length :]))
        np.testing.assert_allclose(ours[row, LENGTH - length :], expected[0].detach(), atol=1e-6)
        loss = loss + expected.sum()
    loss.backward()
    for name, theirs_name in (('kernel', 'weight_ih_l0'), ('recurrent_kernel', 'weight_hh_l0')):
        expected = dict(theirs.named_parameters())[theirs_name].grad.numpy().reshape(3, HIDDEN, -1)
        np.testing.assert_allclose(gradients[name], np.moveaxis(expected, 2, 0), atol=1e-5)
