"""The stage that writes profiles, and what is said of it at the end of a run."""

import collections
import logging
from collections.abc import Sequence
from typing import Any

from llmrec_jax.launch.profiles.profile_recipe import ProfileFolder
from llmrec_jax.launch.profiles.profiled_users import profiled_users, shown_items
from llmrec_jax.launch.stages import Stage, StageRecord
from llmrec_jax.prompts.palr.profile_relation import relation
from llmrec_jax.prompts.palr.profiles import UserProfile, save_profiles

LOG = logging.getLogger(__name__)
EXAMPLES = 3


def profile_stage(workspace: ProfileFolder) -> Stage:
    """Writes the keywords of the users, from their training histories."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        corpus, train = workspace.corpus, workspace.splits.train
        names = recipe.titles.item_names(corpus, train)
        items = shown_items(names, corpus.items.categories, recipe.max_item_keywords)
        users = profiled_users(train, items, recipe.max_history, recipe.max_users, recipe.seed)
        profiles, summary = recipe.writer.write(users, str(workspace.responses_path))
        save_profiles(workspace.profiles_path, corpus.fingerprint(), profiles)
        histories = {user: users.shown(user) for user in users.histories}
        keywords = {profile.user: tuple(profile.keywords) for profile in profiles}
        return {
            **_rates(profiles, recipe.writer.keywords),
            'relation': relation(keywords, histories, recipe.seed),
            'examples': [list(words) for words in keywords.values() if words][:EXAMPLES],
            **summary,
        }

    config = (
        recipe.writer,
        recipe.titles,
        recipe.max_history,
        recipe.max_item_keywords,
        recipe.max_users,
        recipe.seed,
    )
    return Stage('profiles', ('corpus',), config, (workspace.profiles_path.name,), action)


def report_profiles(workspace: ProfileFolder, records: Sequence[StageRecord]) -> None:
    """Says on the terminal what came of the profiles, where they are written."""
    for record in records:
        if record.name == 'profiles':
            for name, value in record.summary.items():
                LOG.info('%-16s %s', name, value)
            LOG.info('profiles: %s', workspace.profiles_path)


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
