"""Plans of small models for the eight devices at hand."""

import dataclasses
import json
import math

import jax
import pytest

from llmrec_jax.planning.compilation import OutOfMemory, ProgramMemory, sharded_bytes, training_memory
from llmrec_jax.planning.decoding_plan import plan_decoding
from llmrec_jax.planning.decoding_programs import beams_at, catalogue_trie
from llmrec_jax.planning.report import Price, Report
from llmrec_jax.planning.roofline import Roofline
from llmrec_jax.planning.settings import Grid
from llmrec_jax.planning.tables import report_text
from llmrec_jax.planning.topology import HERE, Topology, open_topology
from llmrec_jax.planning.training_plan import check_training, lower_training, plan_training
from llmrec_jax.training.chips import TPUS
from tests.planning.sample_workload import (
    LAYOUT,
    decoder_workload,
    scores_workload,
    search_workload,
    text_workload,
)


@pytest.fixture(scope='module')
def here():
    return open_topology(HERE)


@pytest.fixture(scope='module')
def planned(here):
    workload = text_workload()
    [setting] = Grid(meshes=((4, 2),)).settings(workload, here)
    return plan_training(workload, setting, here)


def test_the_compiled_update_does_the_formulas_work(planned):
    # The relative bias, as a one-hot product on every device, is what the formula leaves out.
    assert planned.matrix_flops * 8 == pytest.approx(planned.model_flops, rel=0.05)
    assert planned.uncounted_loops == 0
    assert planned.times is None


def test_parameters_and_moments_are_shared_as_the_setting_says(here):
    def held(**grid):
        workload = text_workload()
        [setting] = Grid(**grid).settings(workload, here)
        state = lower_training(setting.apply(workload), here).state
        return sharded_bytes(state.params), sharded_bytes(state.opt_state)

    whole = 4 * text_workload().parameters
    parameters, moments = held(meshes=((8, 1),))
    assert parameters == whole
    assert moments == pytest.approx(2 * whole, abs=64)
    assert held(meshes=((8, 1),), rules=('fsdp',))[0] < whole / 7
    parameters, moments = held(meshes=((8, 1),), optimizer_shardings=('data',))
    assert parameters == whole
    assert moments < 2 * whole / 7
    assert whole / 2 <= held(meshes=((4, 2),))[0] < 0.6 * whole


def test_moments_wait_beside_the_gradient_sums_of_microbatches(here):
    workload = text_workload({'microbatches': 2})
    [setting] = Grid(meshes=((8, 1),)).settings(workload, here)
    lowered = lower_training(setting.apply(workload), here)
    whole = 4 * workload.parameters
    assert lowered.gradients == whole
    assert dict(lowered.runs) == {'accumulate_full': 2, 'zero': 1, 'apply': 1}
    programs = {
        'accumulate_full': ProgramMemory(arguments=2 * whole, results=0, temporaries=7000, code=500),
        'zero': ProgramMemory(arguments=0, results=whole, temporaries=0, code=0),
        'apply': ProgramMemory(arguments=4 * whole, results=0, temporaries=100, code=0),
    }
    memory = training_memory(programs, lowered.state, lowered.gradients)
    moments = sharded_bytes(lowered.state.opt_state)
    assert (memory.parameters, memory.optimizer_state, memory.gradients) == (whole, moments, whole)
    assert (memory.temporaries, memory.rest) == (7000, 500)
    assert memory.total == 2 * whole + moments + 7500


def test_what_is_lowered_is_what_the_trainer_runs(here):
    """The one program of an update takes the state, a batch, the step and the place of the microbatch."""
    workload = text_workload()
    [setting] = Grid().settings(workload, here)
    lowered = lower_training(setting.apply(workload), here)
    assert list(lowered.programs) == ['update_full']
    arguments = jax.tree.leaves(lowered.programs['update_full'].in_avals)
    features = workload.training_features()
    assert len(arguments) == len(jax.tree.leaves(lowered.state)) + len(features) + 2
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(lowered.state.params)) == workload.parameters


@pytest.mark.parametrize(
    ('grid', 'message'),
    [
        ({'meshes': ((3, 3),)}, 'mesh 3x3 .* does not make the 8 devices of here; .* 8x1, 4x2, 2x4, 1x8'),
        ({'batch_sizes': (12,)}, 'a batch of 12 cannot be cut .* multiple of 8, such as'),
        ({'rules': ('zero',)}, "--rules: no 'zero'; there are standard, fsdp"),
        ({'remats': ('some',)}, "--remat: no 'some'; there are none, minimal, full"),
        ({'dtypes': ('int8',)}, "--dtypes: no 'int8'"),
        ({'optimizer_shardings': ('model',)}, "--optimizer_sharding: no 'model'"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_compiled(here, grid, message):
    with pytest.raises(ValueError, match=message):
        Grid(**grid).settings(text_workload(), here)


def test_a_parameter_that_cannot_be_shared_is_named_with_the_setting(here):
    workload = text_workload(mlp_dim=100)
    [setting] = Grid(meshes=((1, 8),)).settings(workload, here)
    with pytest.raises(ValueError, match="mesh 1x8 with rules 'standard': parameter .*mlp.* size 100"):
        check_training(workload, setting, here)


def test_a_search_is_planned_over_shapes_alone(here):
    workload = search_workload()
    [setting] = Grid().settings(workload, here)
    plan = plan_decoding(workload, setting, here)
    assert plan.matrix_flops * 8 == pytest.approx(plan.model_flops, rel=0.1)
    assert plan.memory.total > plan.parameters


def test_users_that_do_not_divide_are_refused(here):
    workload = search_workload()
    [setting] = Grid().settings(workload, here)
    uneven = text_workload()
    object.__setattr__(workload.decoding, 'users', 12)
    with pytest.raises(ValueError, match='12 users .* multiple of 8 as --decode_batch_size'):
        plan_decoding(workload, setting, here)
    object.__setattr__(uneven.decoding, 'users', 0)
    with pytest.raises(ValueError, match='0 users'):
        plan_decoding(uneven, setting, here)


def test_a_text_step_and_the_tables_of_both(here, planned):
    workload = text_workload()
    decoding = plan_decoding(workload, planned.setting, here)
    assert decoding.matrix_flops * 8 == pytest.approx(decoding.model_flops, rel=0.2)
    full = dataclasses.replace(
        planned,
        setting=dataclasses.replace(planned.setting, remat='full'),
        memory=None,
        out_of_memory=OutOfMemory(2 * 2**30, 2**30),
    )
    report = Report(workload, here, [planned, full], [decoding], Price(2.0, 1000))
    text = report_text(report)
    assert 'figures not known' in text
    rows = [line.split() for line in text.splitlines() if line.startswith('16  ')]
    assert [row[4] for row in rows] == ['none', 'full'] * 2
    assert rows[1][-4:] == ['2.00', 'out', 'of', 'memory']
    figures = report.json()
    assert figures['training'][1]['out_of_memory'] == {'needed': 2 * 2**30, 'available': 2**30}
    assert figures['training'][0]['step_seconds'] is None
    assert figures['training'][0]['collectives']['all-reduce']['times'] > 0
    assert figures['decoding'][0]['users'] == 8
    json.dumps(figures)


def test_a_decoder_alone_is_planned_by_its_own_formulas(here):
    workload = decoder_workload()
    [setting] = Grid(meshes=((4, 2),), remats=('minimal',)).settings(workload, here)
    training, decoding = plan_training(workload, setting, here), plan_decoding(workload, setting, here)
    assert training.matrix_flops * 8 == pytest.approx(training.model_flops, rel=0.1)
    assert decoding.matrix_flops * 8 == pytest.approx(decoding.model_flops, rel=0.1)
    assert '110,592 weights x tokens' in report_text(Report(workload, here, [training], [decoding]))


def test_of_what_fits_the_fastest_is_best(here, planned):
    """On a slice of known chips: half the time is better, unless there is no room for it."""
    chip = TPUS['v5e']
    topology = Topology('v5e:2x4', here.devices, chip, (2, 4))
    slow = dataclasses.replace(planned, times={'update': Roofline(0.2, 0.1, 0.1)})
    fast = dataclasses.replace(planned, times={'update': Roofline(0.1, 0.05, 0.0)})
    large = dataclasses.replace(fast, memory=dataclasses.replace(planned.memory, rest=chip.usable_bytes))
    report = Report(text_workload(), topology, [slow, large, fast], [], Price(2.0, 16 * 3600 * 10))
    assert report.best is fast
    assert not report.fits(large)
    assert report.examples_per_second(fast) == pytest.approx(160)
    assert report.utilisation(fast) == pytest.approx(planned.model_flops / 0.1 / 8 / 197e12)
    assert fast.bound == 'compute'
    # An hour on eight chips.
    assert report_text(report).splitlines()[-1].split()[-2:] == ['16.00', 'best']


def test_a_catalogue_has_as_many_items_as_asked_and_no_more_than_its_codes():
    trie = catalogue_trie(LAYOUT, 300)
    assert trie.leaf_items.shape == (300,)
    assert catalogue_trie(LAYOUT, 512).leaf_items.shape == (512,)
    with pytest.raises(ValueError, match='--items=513 .* tell 512 items apart'):
        catalogue_trie(LAYOUT, 513)


def test_beams_grow_with_the_codebooks():
    assert beams_at(search_workload().decoding, 10) == [1, 8, 10]


def test_a_model_without_a_formula_has_its_flops_counted_and_is_told_so(here):
    """The loss over the catalogue runs as often as there are chunks of positions: 16 x 12 of them in all."""

    def planned(**loss):
        workload = scores_workload(**loss)
        [setting] = Grid(meshes=((8, 1),)).settings(workload, here)
        assert (setting.remat, setting.dtype) == (None, None)
        return workload, plan_training(workload, setting, here)

    workload, plan = planned(positions_at_once=64)
    assert (workload.loop_runs, plan.uncounted_loops) == (3, 1)
    assert plan.model_flops == 8 * plan.matrix_flops > 0
    whole, at_once = planned(positions_at_once=192)
    assert whole.loop_runs == 1
    assert at_once.matrix_flops == plan.matrix_flops
    # Each position meets 128 vectors of 16 numbers in its scores and in both of their gradients.
    assert plan.model_flops > 3 * 2 * 16 * 12 * 128 * 16
    report = Report(workload, here, [plan], [])
    assert report.json()['model_flops_by'] == 'count'
    assert report.json()['training'][0]['remat'] is None
    assert 'counted as 3 runs' in report_text(report)
    assert Report(text_workload(), here, [], []).json()['model_flops_by'] == 'formula'


def test_scores_of_a_catalogue_grow_by_its_items(here):
    def flops(items):
        workload = scores_workload(items)
        [setting] = Grid(meshes=((8, 1),)).settings(workload, here)
        plan = plan_decoding(workload, setting, here)
        assert plan.model_flops == 8 * plan.matrix_flops
        return plan.model_flops

    # 16 users, 256 more items, 16 numbers a vector.
    assert flops(384) - flops(128) == 2 * 16 * 256 * 16


@pytest.mark.parametrize('grid', [{'remats': ('full',)}, {'dtypes': ('bfloat16',)}])
def test_a_setting_that_a_network_does_not_have_is_refused_by_its_flag(here, grid):
    flag = '--remat' if 'remats' in grid else '--dtypes'
    with pytest.raises(ValueError, match=f'{flag}: a SequentialRecommenderModel has no such setting'):
        Grid(**grid).settings(scores_workload(), here)


def test_a_workload_without_decoding_plans_training_alone(here):
    workload = dataclasses.replace(scores_workload(), decoding=None)
    [setting] = Grid().settings(workload, here)
    check_training(workload, setting, here)
    with pytest.raises(ValueError, match='--only=training'):
        plan_decoding(workload, setting, here)
