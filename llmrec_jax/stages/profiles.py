"""The stage that writes profiles of users: keywords of what their training histories show."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.corpora.source import CorpusSource, identity
from llmrec_jax.prompts.naming.titles import TitleNames
from llmrec_jax.prompts.palr.profile_text import relation
from llmrec_jax.prompts.palr.profiles import Profiles, UserProfile, load_profiles, save_profiles
from llmrec_jax.runs.artifact import Artifact, place
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages import corpus
from llmrec_jax.stages.corpus import SPLITS
from llmrec_jax.stages.profile_writers import ProfileWriter
from llmrec_jax.stages.profiled_users import profiled_users, shown_items

EXAMPLES = 3
PROFILES: Artifact[Profiles] = Artifact(
    'profiles.jsonl',
    load=load_profiles,
    save=lambda profiles, path: save_profiles(path, profiles.corpus, profiles.users.values()),
)
# What the language model answered, where the writer names no other file; a killed run pays for nothing twice.
RESPONSES = place('responses.jsonl')


@dataclasses.dataclass(frozen=True)
class WriteProfiles(Stage):
    """Writes the keywords of the users, from their training histories.

    Attributes:
      corpus: whose users.
      data_dir: where the corpus is prepared.
      writer: writes the profiles.
      titles: what the items are called; quotation marks in them become apostrophes.
      max_history: the newest items of a training history that are shown.
      max_item_keywords: categories of an item that are shown.
      max_users: users whose profiles are written, drawn; None for all.
      seed: of the draw.

    Raises:
      ValueError: when a number is below 1.
    """

    corpus: CorpusSource = marks.described_by(identity)
    data_dir: str = marks.without_effect()
    writer: ProfileWriter
    titles: TitleNames = dataclasses.field(default_factory=lambda: TitleNames(max_characters=60))
    max_history: int = 20
    max_item_keywords: int = 3
    max_users: int | None = None
    seed: int = 0
    name: ClassVar[str] = 'profiles'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (SPLITS,)
    writes: ClassVar = (PROFILES,)

    def __post_init__(self):
        for name in ('max_history', 'max_item_keywords', 'max_users'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'WriteProfiles.{name} must be at least 1, not {getattr(self, name)}')

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        whole, train = corpus.load(self.corpus, self.data_dir, run), run[SPLITS].train
        names = self.titles.item_names(whole, train)
        items = shown_items(names, whole.items.categories, self.max_item_keywords)
        users = profiled_users(train, items, self.max_history, self.max_users, self.seed)
        profiles, told = self.writer.write(users, str(run.path(RESPONSES)))
        run.put(PROFILES, Profiles(whole.fingerprint(), {profile.user: profile for profile in profiles}))
        histories = {user: users.shown(user) for user in users.histories}
        keywords = {profile.user: tuple(profile.keywords) for profile in profiles}
        return {
            **_rates(profiles, self.writer.keywords),
            'relation': relation(keywords, histories, self.seed),
            'examples': [list(words) for words in keywords.values() if words][:EXAMPLES],
            **told,
        }


def _rates(profiles: Sequence[UserProfile], wanted: int) -> dict[str, Any]:
    """How many users have a profile, and what was rejected."""
    rejected: collections.Counter[str] = collections.Counter()
    for profile in profiles:
        rejected.update(profile.rejected)
    kept = sum(len(profile.keywords) for profile in profiles)
    return {
        'users': len(profiles),
        'with_keywords': sum(bool(profile.keywords) for profile in profiles),
        'with_all_keywords': sum(len(profile.keywords) == wanted for profile in profiles),
        'failed': sum(profile.failed is not None for profile in profiles),
        'keywords': kept,
        'rejected': dict(rejected),
        'rejected_share': round(rejected.total() / max(kept + rejected.total(), 1), 4),
    }
