"""P5's prompt groups: which templates belong together, what fills them, and how often (P5, section 4.1)."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

from llmrec_jax.prompts.p5 import direct, reviews, sequential
from llmrec_jax.prompts.prompt_group import Form, PromptGroup
from llmrec_jax.prompts.rating_scale import RatingScale
from llmrec_jax.prompts.template import Template, by_id

TEMPLATES = (
    *reviews.RATING_TEMPLATES,
    *sequential.TEMPLATES,
    *reviews.EXPLANATION_TEMPLATES,
    *reviews.REVIEW_TEMPLATES,
    *direct.TEMPLATES,
    *reviews.TRANSFER_TEMPLATES,
)
# Examples of each record in an epoch, as published.
RATES = {
    'rating_stars': 1,
    'sequential_next_item': 5,
    'sequential_candidates': 5,
    'sequential_yes_no': 10,
    'explanation_sentence': 1,
    'review_review': 1,
    'direct_yes_no': 10,
    'direct_candidates': 5,
    'zero_shot_transfer': 1,
}
# The small prompt set with which the paper ablates the number of templates ("P5-PS").
SMALL_SET = (
    '1-5', '1-6', '1-8', '1-9', '2-1', '2-3', '2-8', '2-11', '3-2', '3-3', '3-6', '3-9',
    '4-1', '4-2', '4-3', '5-2', '5-5', '5-7',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class P5Prompts:
    """How P5 asks.

    Attributes:
      max_history: the newest items of a history that a prompt shows.
      candidates: items to choose from, the right one among them.
      scale: the ratings that there are.
      templates: those in use; a template of one's own is one more.
      rates: group to examples of each record in an epoch of training; `RATES` for groups that it lacks.
      rating_noise: whether a rating as a target of training gets P5's noise, which makes 41 answers of 5.

    Raises:
      ValueError: when a rate is of no group.
    """

    max_history: int = 20
    candidates: int = 100
    scale: RatingScale = dataclasses.field(default_factory=RatingScale)
    templates: tuple[Template, ...] = TEMPLATES
    rates: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rating_noise: bool = True

    def __post_init__(self):
        unknown = sorted(set(self.rates) - set(RATES))
        if unknown:
            raise ValueError(f'P5Prompts.rates names the group {unknown[0]!r}; P5 has {", ".join(RATES)}')

    def groups(self, *, training: bool) -> dict[str, PromptGroup]:
        """Every group by its name, with all its templates; `PromptGroup.seen` leaves out those held out.

        Args:
          training: whether ratings as targets get `rating_noise`, and records are asked as often as `rates`
            says; else every record is asked once.

        Raises:
          ValueError: when two templates have the same id, one names a field that its group does not fill, or
            one belongs to no group of P5.
        """
        by_id(self.templates)
        forms, rates = self._forms(training and self.rating_noise), {**RATES, **self.rates}
        members = defaultdict(list)
        for template in self.templates:
            name = f'{template.family}_{template.group}'
            if name not in forms:
                raise ValueError(
                    f'template {template.id!r} is of the group {name!r}; P5 has {", ".join(sorted(forms))}'
                )
            members[name].append(template)
        return {
            name: PromptGroup(form, tuple(members[name]), rates[name] if training else 1)
            for name, form in forms.items()
            if name in members
        }

    def _forms(self, noisy: bool) -> dict[str, Form]:
        explained = reviews.ExplainedItem(self.scale, noisy)
        return {
            'rating_stars': reviews.RatedItem(self.scale, noisy),
            'sequential_next_item': sequential.NextItemForm(self.max_history),
            'sequential_candidates': sequential.NextItemOfCandidates(self.max_history, self.candidates),
            'sequential_yes_no': sequential.NextItemQuestion(self.max_history),
            'explanation_sentence': explained,
            'review_review': reviews.ReviewedItem(self.scale, noisy),
            'direct_yes_no': direct.RecommendationQuestion(),
            'direct_candidates': direct.RecommendationOfCandidates(self.candidates),
            'zero_shot_transfer': explained,
        }
