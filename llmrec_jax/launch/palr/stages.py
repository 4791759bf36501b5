"""Stages of PALR beside those of any text-to-text recipe: profiles, candidates, floors, and its lists."""

import dataclasses

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.evaluator import Evaluator
from llmrec_jax.evaluation.floors.all_floors import fit_floors
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.retrieval_recommender import RetrievalRecommender
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.launch.mixtures.mixture_run import evaluate_mixture, results_path
from llmrec_jax.launch.palr.answered_lists import answered_lists
from llmrec_jax.launch.palr.serving_times import serving_times
from llmrec_jax.launch.palr.workspace import (
    CANDIDATES,
    FLOOR_LISTS,
    PALR_LISTS,
    PROFILES,
    RETRIEVER,
    PalrWorkspace,
)
from llmrec_jax.launch.profiles.profile_recipe import ProfileFolder, ProfileRecipe
from llmrec_jax.launch.profiles.profile_stage import profile_stage
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.text_stages import tasks_stage, vocabulary_stage
from llmrec_jax.prompts.palr.answers import TitleIndex
from llmrec_jax.prompts.palr.profiles import save_profiles
from llmrec_jax.training import processes


def profiles_stage(workspace: PalrWorkspace) -> Stage:
    """Writes the users' profiles, or says that there are none."""
    recipe = workspace.recipe
    if recipe.profile_writer is not None:
        return profile_stage(
            ProfileFolder(
                ProfileRecipe(
                    workdir=recipe.workdir,
                    corpus=recipe.corpus,
                    data_dir=recipe.data_dir,
                    writer=recipe.profile_writer,
                    max_history=recipe.tasks.palr.windows.max_history,
                    seed=recipe.seed,
                )
            )
        )

    def action(_: str) -> dict:
        save_profiles(workspace.profiles_path, workspace.stage_summary('corpus')['fingerprint'], ())
        return {'users': 0}

    return Stage('profiles', ('corpus',), (), (PROFILES,), action)


def candidates_stage(workspace: PalrWorkspace) -> Stage:
    """Asks the retriever for the candidates of everyone who is asked about."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        splits, cases = workspace.splits, workspace.cases
        retriever, cost = built_index(lambda: recipe.retriever.retriever(splits, workspace.n_items))
        recommender = RetrievalRecommender(retriever, depth=recipe.candidates)
        evaluator = Evaluator(dataclasses.replace(workspace.protocol, ks=(recipe.candidates,)))
        found = evaluator.evaluate(RETRIEVER, recommender, cases)
        PerUserResults.of(cases, [found]).save(workspace.candidates_path)
        return {
            'retriever': type(recipe.retriever).__name__,
            'users': len(cases),
            'recall': found.metrics[f'recall@{recipe.candidates}'],
            'seconds': found.seconds,
            'serving': {'retriever_build': cost.as_dict()},
        }

    config = (
        recipe.retriever.identity(),
        recipe.candidates,
        recipe.seen_items,
        recipe.test_users,
        recipe.seed,
    )
    return Stage('candidates', ('corpus',), config, (CANDIDATES,), action)


def palr_vocabulary_stage(workspace: PalrWorkspace) -> Stage:
    """See `text_stages.vocabulary_stage`; the prompts that it is learned from hold profiles."""
    stage = vocabulary_stage(workspace)
    return dataclasses.replace(stage, needs=(*stage.needs, 'profiles', 'candidates'))


def palr_tasks_stage(workspace: PalrWorkspace) -> Stage:
    """See `text_stages.tasks_stage`; and finds out before training whether answers can be read back."""
    stage = tasks_stage(workspace)

    def action(fingerprint: str) -> dict:
        summary = stage.action(fingerprint)
        TitleIndex([workspace.vocabulary.normalized(name) for name in workspace.item_names])
        return summary

    return dataclasses.replace(stage, needs=(*stage.needs, 'profiles', 'candidates'), action=action)


def palr_floors_stage(workspace: PalrWorkspace) -> Stage:
    """The systems that only count, on the users who are asked about."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        cases, evaluator = workspace.cases, Evaluator(workspace.protocol, bootstrap=Bootstrap(resamples=1))
        found = [
            evaluator.evaluate(name, floor, cases)
            for name, floor in fit_floors(workspace.splits.train, workspace.n_items).items()
        ]
        PerUserResults.of(cases, found).save(workspace.root / FLOOR_LISTS)
        return {'seconds': {one.name: one.seconds for one in found}}

    config = (recipe.list_length, recipe.seen_items, recipe.test_users, recipe.seed)
    return Stage('floors', ('corpus',), config, (FLOOR_LISTS,), action)


def palr_evaluate_stage(workspace: PalrWorkspace) -> Stage:
    """Has the model write its lists, reads them, and fills them up from the candidates.

    What was written before by the same network is not asked for again.
    """
    recipe = workspace.recipe

    def action(_: str) -> dict:
        results = evaluate_mixture(workspace)
        serving = serving_times(workspace)
        summary = {
            'checkpoint': results.checkpoint,
            'seconds': {task.task: task.seconds for task in results.tasks},
            'serving': serving,
        }
        if processes.is_first():
            answered = answered_lists(workspace)
            PerUserResults(workspace.cases.user, workspace.cases.target, answered.systems).save(
                workspace.root / PALR_LISTS
            )
            summary |= answered.summary
        return summary

    config = (
        recipe.mixture_or_task_name,
        recipe.answering,
        recipe.model,
        recipe.name,
        recipe.ks,
        recipe.position_bins,
        recipe.timed_requests,
    )
    if workspace.checkpoint is not None:
        config = (*config, workspace.checkpoint)
    needs = ('train',) if workspace.checkpoint is None else ('tasks',)
    outputs = (str(results_path(workspace).relative_to(workspace.root)), PALR_LISTS)
    return Stage('evaluate', (*needs, 'candidates'), config, outputs, action, on_all=True)
