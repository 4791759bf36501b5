"""RQ-VAE training against the same step in eager PyTorch: steps a second, one JSON line each, then the ratio.

    python benchmarks/rq_vae_step.py --dim 768 --batch_size 1024

Encoder 768-512-256-128-32, mirror decoder, 3 x 256 codewords, straight-through, sums over dimensions, AdamW:
the step of the paper and of its reproductions. The two sides take turns and the best round of each counts:
other work on the machine only ever slows a round down. Needs the `parity` extra.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch

from llmrec_jax.semantic_ids.rq_vae.network import RqVaeNetwork
from llmrec_jax.semantic_ids.rq_vae.training import RqVaeOptimizer, TrainingSettings, run_round

HIDDEN_SIZES = (512, 256, 128)
LATENT_DIM = 32
CODEBOOK_SIZES = (256, 256, 256)
COMMITMENT_WEIGHT = 0.25
LEARNING_RATE = 1e-3


def jax_side(vectors: np.ndarray, batch_size: int, steps: int) -> Callable[[np.ndarray], None]:
    """A round of the library's own training: one compiled scan over the steps."""
    network = RqVaeNetwork(vectors.shape[1], HIDDEN_SIZES, LATENT_DIM, CODEBOOK_SIZES)
    optimizer = RqVaeOptimizer(learning_rate=LEARNING_RATE)
    settings = TrainingSettings(
        steps=10_000,
        batch_size=batch_size,
        round_steps=steps,
        commitment_weight=COMMITMENT_WEIGHT,
        dead_share=0.05,
        sample_size=len(vectors),
        optimizer=optimizer,
    )
    params = network.init(jax.random.key(0), jnp.asarray(vectors[:1]))['params']
    state = [params, optimizer.build(settings.steps).init(params)]
    data = jnp.asarray(vectors)

    def run(rows: np.ndarray) -> None:
        *state[:], figures = run_round(network, settings, *state, data, jnp.asarray(rows))
        jax.block_until_ready((state, figures))

    return run


class TorchRqVae(torch.nn.Module):
    """The same network."""

    def __init__(self, dim: int):
        super().__init__()
        sizes = (dim, *HIDDEN_SIZES, LATENT_DIM)
        self.encoder, self.decoder = self._mlp(sizes), self._mlp(sizes[::-1])
        self.codebooks = torch.nn.ParameterList(torch.randn(size, LATENT_DIM) for size in CODEBOOK_SIZES)

    def loss(self, vectors: torch.Tensor) -> torch.Tensor:
        """Both terms, summed over dimensions, mean over the batch."""
        z = self.encoder(vectors)
        residual, z_hat, quantization = z, 0, 0
        for codebook in self.codebooks:
            with torch.no_grad():
                codes = torch.cdist(residual, codebook).argmin(dim=1)
            codeword = codebook[codes]
            pull = ((residual.detach() - codeword) ** 2).sum(dim=1)
            commitment = ((residual - codeword.detach()) ** 2).sum(dim=1)
            quantization = quantization + pull + COMMITMENT_WEIGHT * commitment
            z_hat = z_hat + codeword
            residual = residual - codeword.detach()
        reconstruction = self.decoder(z + (z_hat - z).detach())
        return (((vectors - reconstruction) ** 2).sum(dim=1) + quantization).mean()

    def _mlp(self, sizes: tuple[int, ...]) -> torch.nn.Sequential:
        layers = []
        for before, after in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])


def torch_side(vectors: np.ndarray) -> Callable[[np.ndarray], None]:
    """The steps of a round one after the other."""
    torch.manual_seed(0)
    model = TorchRqVae(vectors.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=1e-4)
    data = torch.from_numpy(vectors)

    def run(rows: np.ndarray) -> None:
        for batch in torch.from_numpy(rows):
            optimizer.zero_grad()
            model.loss(data[batch]).backward()
            optimizer.step()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--dim', type=int, default=768)
    parser.add_argument('--batch_size', type=int, default=1024)
    parser.add_argument('--items', type=int, default=12_101)
    parser.add_argument('--steps', type=int, default=25, help='steps a round')
    parser.add_argument('--rounds', type=int, default=5, help='rounds a side, after one that warms it up')
    flags = parser.parse_args()

    random = np.random.default_rng(0)
    vectors = random.standard_normal((flags.items, flags.dim), dtype=np.float32)
    sides = {
        'llmrec_jax': jax_side(vectors, flags.batch_size, flags.steps),
        'torch_eager': torch_side(vectors),
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(flags.rounds + 1):
        rows = random.integers(0, flags.items, (flags.steps, flags.batch_size))
        for name, run in sides.items():
            start = time.perf_counter()
            run(rows)
            if number:
                rates[name].append(flags.steps / (time.perf_counter() - start))
    for name, values in rates.items():
        print(
            json.dumps(
                {
                    'benchmark': 'rq_vae_step',
                    'side': name,
                    'dim': flags.dim,
                    'batch_size': flags.batch_size,
                    'best_steps_per_second': round(max(values), 2),
                    'median_steps_per_second': round(float(np.median(values)), 2),
                }
            )
        )
    ratio = max(rates['llmrec_jax']) / max(rates['torch_eager'])
    print(json.dumps({'benchmark': 'rq_vae_step', 'ratio': round(ratio, 2)}))


if __name__ == '__main__':
    main()
