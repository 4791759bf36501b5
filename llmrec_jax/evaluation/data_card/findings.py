"""What of a data card asks for a decision, in sentences."""

from llmrec_jax.evaluation.data_card.card import DataCard

# Shares from which on something is worth a sentence.
_TIES, _COLD, _TITLES = 0.05, 0.01, 0.05


def findings(card: DataCard) -> list[str]:
    """One sentence on each thing that may spoil results, gravest first; empty where there is nothing."""
    found = []
    if card.id_leak is not None and card.id_leak.leaks:
        found.append(
            'The ids of the items run with time: whoever reads them can count to the next item. Indices are '
            'drawn at random unless relabel_seed is None; do not show the ids themselves to a model.'
        )
    if card.times['tied_events_share'] > _TIES:
        found.append(
            f'{_percent(card.times["tied_events_share"])} of the events share user and time with another, so '
            f'that time does not tell their order: {_order_of_ties(card)}.'
        )
    short = card.histories['users_with_fewer_than_three_events']
    if short:
        found.append(
            f'{short} of {card.sizes["users"]} users have fewer than three events: they are trained on, and '
            'nothing of theirs is predicted.'
        )
    cold = card.splits['test']['cold_share']
    if cold > _COLD:
        found.append(
            f'{_percent(cold)} of the test targets never occur in training, which systems that know items by '
            'their index alone cannot name.'
        )
    silent = card.texts['items_without_text']
    if silent:
        found.append(
            f'{silent} of {card.sizes["items"]} items have no text. Lists call them by their id; a system '
            'that reads texts needs a name for them, or that they be left out.'
        )
    twins = card.texts['items_that_share_a_title']
    if twins > _TITLES * card.sizes['items']:
        found.append(f'{twins} items have the title of another one, which names by titles must tell apart.')
    if card.provenance.get('timestamps') == 'position in the history':
        found.append('There is no clock: events stand in the order of the file.')
    return found


def _order_of_ties(card: DataCard) -> str:
    ties = card.provenance.get('ties')
    if card.provenance.get('ties_listed_by_id'):
        return 'the source lists them by the ids of their items, and they were shuffled, lest that be learnt'
    if ties == 'shuffled':
        return 'they were shuffled'
    return f"they stand by the rule ties={ties!r}; 'shuffled' keeps out whatever order the source has"


def _percent(share: float) -> str:
    return f'{100 * share:.1f}\u00a0%'
