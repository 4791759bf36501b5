"""What PALR's results share with those of systems that rank a catalogue."""

from llmrec_jax.stages.ranking_report import EXAMPLE_USERS, serving_costs, stage_costs

__all__ = ['EXAMPLE_USERS', 'serving_costs', 'stage_costs']
