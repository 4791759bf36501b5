"""Rooflines, memory, prices and topologies by hand-worked values."""

import types

import pytest

from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.compilation import ProgramMemory, read_out_of_memory
from llmrec_jax.planning.report import Price
from llmrec_jax.planning.roofline import group_bandwidth, roofline
from llmrec_jax.planning.tables import text_table
from llmrec_jax.planning.topology import Topology, parse_topology
from llmrec_jax.training.chips import TPUS

GIB = 2**30


def _slice(name):
    """A slice's devices, as far as the roofline asks for them."""
    chip, shape = parse_topology(name)
    places = [()]
    for size in shape:
        places = [(*place, at) for place in places for at in range(size)]
    devices = [types.SimpleNamespace(coords=[*place, 0][:3]) for place in places]
    return Topology(name, devices, chip, shape)


def test_a_collective_sends_what_its_algorithm_needs():
    group = (0, 1, 2, 3)
    assert Collective('all-reduce', 1000, group, 1).sent_bytes == 1500
    assert Collective('all-gather', 1000, group, 1).sent_bytes == 750
    assert Collective('reduce-scatter', 1000, group, 1).sent_bytes == 750
    assert Collective('all-to-all', 1000, group, 1).sent_bytes == 750
    assert Collective('collective-permute', 1000, (0, 1), 1).sent_bytes == 1000
    assert Collective('all-reduce', 1000, (0,), 1).sent_bytes == 0


@pytest.mark.parametrize(
    ('topology', 'group', 'links'),
    [
        ('v5e:4x4', (0, 1, 2, 3), 1),  # A row that is not closed.
        ('v5e:4x4', tuple(range(16)), 2),  # Both axes, neither closed.
        ('v5e:16x16', tuple(range(16)), 2),  # A row of the whole pod is a ring.
        ('v5e:16x16', tuple(range(256)), 4),
        ('v5p:2x2x4', tuple(range(16)), 3),
        ('v5p:4x4x4', tuple(range(64)), 6),
    ],
)
def test_links_that_a_group_can_use(topology, group, links):
    described = _slice(topology)
    gather = Collective('all-gather', 1, group, 1)
    assert group_bandwidth(described, described.devices, gather) == links * described.chip.link_bandwidth
    permute = Collective('collective-permute', 1, group[:2], 1)
    assert group_bandwidth(described, described.devices, permute) == described.chip.link_bandwidth


def test_the_slowest_resource_bounds():
    described = _slice('v5e:4x4')
    reduce = Collective('all-reduce', 10**9, tuple(range(16)), 2)
    # 1.97e12 / 197e12; 8.19e9 / 819e9; 2 runs of 2 * 15/16 GB over two links of 50 GB/s.
    found = roofline(described, described.devices, 197 * 10**10, 819 * 10**7, [reduce])
    assert (found.compute, found.memory, found.network) == pytest.approx((0.01, 0.01, 0.0375))
    assert found.bound == 'network'
    assert (found + found * 2).seconds == pytest.approx(3 * 0.0375)
    compute = roofline(described, described.devices, 197 * 10**11, 819 * 10**7, [])
    assert (compute.bound, compute.seconds) == ('compute', pytest.approx(0.1))


def test_a_topology_without_figures_has_no_roofline():
    assert roofline(Topology('here', [object()], None), [object()], 1, 1, []) is None


@pytest.mark.parametrize(
    'name', ['v9:2x2', 'v5e', 'v5e:3x5', 'v5e:4x4x4', 'v5p:4x4', 'v5e:banana', 'v5p:8x4x4', 'v5e:']
)
def test_a_topology_that_does_not_exist_is_named_with_those_that_do(name):
    with pytest.raises(ValueError, match=f"no TPU topology '{name}'.*(v5e:4x4|are 1x1, 2x2|are 2x2x1)"):
        parse_topology(name)


def test_topologies_that_exist():
    assert parse_topology('v5e:4x8') == (TPUS['v5e'], (4, 8))
    assert parse_topology('v5p:8x8x12')[1] == (8, 8, 12)
    assert parse_topology('tpu7x:2x2x1')[0].devices_per_chip == 2


@pytest.mark.parametrize(
    ('message', 'needed', 'available'),
    [
        (
            'RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries '
            '(240.00G) exceeds available HBM (15.75G).',
            240 * GIB,
            15.75 * GIB,
        ),
        (
            'RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 25.01G of 15.75G hbm. '
            'Exceeded hbm capacity by 9.26G.',
            25.01 * GIB,
            15.75 * GIB,
        ),
        ('RESOURCE_EXHAUSTED: 25.01G exceeds available HBM 15.75G', 25.01 * GIB, 15.75 * GIB),
    ],
)
def test_what_an_exhausted_compiler_asked_for(message, needed, available):
    read = read_out_of_memory(message)
    assert read.needed == int(needed)
    assert read.available == int(available)


def test_an_exhausted_compiler_that_gives_no_numbers():
    assert read_out_of_memory('RESOURCE_EXHAUSTED').needed is None


def test_a_programs_memory_adds_up():
    assert ProgramMemory(arguments=1, results=2, temporaries=3, code=4).total == 10


def test_an_epochs_price():
    price = Price(per_chip_hour=1.2, examples=3_600_000)
    assert price.epoch_hours(1000.0) == pytest.approx(1.0)
    assert price.epoch_cost(1000.0, 16) == pytest.approx(19.2)


@pytest.mark.parametrize(('per_chip_hour', 'examples'), [(-1.0, 10), (1.0, 0)])
def test_a_price_that_means_nothing_is_refused(per_chip_hour, examples):
    with pytest.raises(ValueError, match='price_per_chip_hour'):
        Price(per_chip_hour, examples)


def test_tables_are_aligned():
    table = text_table(['mesh', 'ms'], [['16x1', '1.5'], ['8x2', '10.0']])
    assert table.splitlines() == ['mesh    ms', '----  ----', '16x1   1.5', '8x2   10.0']
