"""SASRec in PyTorch, of the same shape as `llmrec_jax.models.sequential.sasrec`, to measure against.

Written for speed as one writes it in PyTorch: batches padded to their longest sequence, fused attention, and
scores of the catalogue at real positions alone. Rows are gathered by the operations with the fastest
gradients.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from llmrec_jax.models.sequential.sasrec import SASRecConfig

SOFTMAX, BCE = LOSSES = ('softmax', 'bce')
NORM_EPSILON = 1e-8


class Block(nn.Module):
    """The original order: normalized queries, keys as they are, residuals of what was normalized."""

    def __init__(self, dim: int, config: SASRecConfig):
        super().__init__()
        self.heads, self.dropout_rate = config.num_heads, config.dropout_rate
        self.attention_norm = nn.LayerNorm(dim, NORM_EPSILON)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.feed_forward_norm = nn.LayerNorm(dim, NORM_EPSILON)
        self.wi = nn.Linear(dim, config.mlp_dim or dim)
        self.wo = nn.Linear(config.mlp_dim or dim, dim)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, states: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """The states after the block; `allowed` [batch, 1, query, key] is what each may read."""

        def heads(vectors: torch.Tensor) -> torch.Tensor:
            return vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        queries = self.attention_norm(states)
        read = F.scaled_dot_product_attention(
            heads(self.query(queries)),
            heads(self.key(states)),
            heads(self.value(states)),
            attn_mask=allowed,
            dropout_p=self.dropout_rate if self.training else 0.0,
        )
        states = self.feed_forward_norm(queries + read.transpose(1, 2).flatten(-2))
        return states + self.dropout(self.wo(self.dropout(F.relu(self.wi(states)))))


class SASRec(nn.Module):
    """The network and its losses.

    Attributes:
      table: vectors of the items; row 0 is padding.
    """

    def __init__(self, n_items: int, dim: int, config: SASRecConfig):
        super().__init__()
        self.n_items = n_items
        self.table = nn.Parameter(0.02 * torch.randn(n_items + 1, dim))
        self.positions = nn.Parameter(0.02 * torch.randn(config.max_length, dim))
        self.dropout = nn.Dropout(config.dropout_rate)
        self.blocks = nn.ModuleList(Block(dim, config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(dim, NORM_EPSILON)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """States [batch, length, dim] of tokens [batch, length], padded on the left."""
        length, real = tokens.shape[1], tokens != 0
        states = F.embedding(tokens, self.table, padding_idx=0) * self.table.shape[1] ** 0.5
        states = self.dropout(states + self.positions[-length:]) * real[..., None]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        # Padding reads itself, so that no row of the softmax is empty.
        allowed = (causal & (real[:, None, :] | torch.eye(length, dtype=torch.bool)))[:, None]
        for block in self.blocks:
            states = block(states, allowed) * real[..., None]
        return self.final_norm(states)

    def loss(self, sequences: torch.Tensor, kind: str) -> torch.Tensor:
        """The mean loss over the positions of `sequences` [batch, width] that have a next item."""
        inputs, targets = sequences[:, :-1], sequences[:, 1:]
        predicting = (inputs != 0).flatten().nonzero().squeeze(1)
        states = self(inputs).flatten(0, 1).index_select(0, predicting)
        targets = targets.flatten()[predicting]
        if kind == SOFTMAX:
            return F.cross_entropy(states @ self.table[1:].T, targets - 1)
        negatives = torch.randint(1, self.n_items + 1, targets.shape)
        of_targets = (states * F.embedding(targets, self.table)).sum(-1)
        of_negatives = (states * F.embedding(negatives, self.table)).sum(-1)
        return (F.softplus(-of_targets) + F.softplus(of_negatives)).mean()

    def load(self, params: dict) -> None:
        """Takes the parameters of a `SequentialRecommenderModel` with a SASRec encoder of this shape."""
        weights = params['sequence_encoder']
        copied = {'positions': weights['positions']['embedding']} | _norm('final_norm', weights['final_norm'])
        copied['table'] = np.pad(params['item_encoder']['embedding'][: self.n_items], ((1, 0), (0, 0)))
        for layer in range(len(self.blocks)):
            block, name = weights[f'layers_{layer}'], f'blocks.{layer}'
            for norm in ('attention_norm', 'feed_forward_norm'):
                copied |= _norm(f'{name}.{norm}', block[norm])
            for part in ('query', 'key', 'value'):
                copied |= _affine(f'{name}.{part}', block['attention'][part])
            for part in ('wi', 'wo'):
                copied |= _affine(f'{name}.{part}', block['feed_forward'][part])
        self.load_state_dict({key: torch.tensor(np.asarray(value)) for key, value in copied.items()})


def _norm(name: str, weights: dict) -> dict:
    return {f'{name}.weight': weights['scale'], f'{name}.bias': weights['bias']}


def _affine(name: str, weights: dict) -> dict:
    return {f'{name}.weight': np.asarray(weights['kernel']).T, f'{name}.bias': weights['bias']}
