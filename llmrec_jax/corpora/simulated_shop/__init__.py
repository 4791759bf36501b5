"""A shop simulated from a seed, whose next-item distribution is known."""

from llmrec_jax.corpora.simulated_shop.behaviour import Behaviour
from llmrec_jax.corpora.simulated_shop.ceiling import BayesRecommender, ceiling
from llmrec_jax.corpora.simulated_shop.law import NextItemLaw
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop

__all__ = ['BayesRecommender', 'Behaviour', 'NextItemLaw', 'SimulatedShop', 'ceiling']
