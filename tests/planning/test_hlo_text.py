"""Lines as a TPU's compiler writes them."""

import pytest

from llmrec_jax.planning.collectives import replica_groups
from llmrec_jax.planning.hlo_text import parse_module
from llmrec_jax.planning.program_costs import meeting_positions, program_costs

# A loop of the counter 0, 2, … below 8, whose body holds an asynchronous all-reduce and a batched product
# that is written as a dilated convolution; before it, an all-gather that is spread over two fusions.
PROGRAM = """HloModule jit_f, is_scheduled=true

%spread (p: bf16[8,16]) -> bf16[32,16] {
  %p = bf16[8,16]{1,0:T(8,128)} parameter(0)
  ROOT %ag = bf16[32,16]{1,0} all-gather(%p), replica_groups={{0,1,2,3}}, dimensions={0}, \
backend_config={"async_collective_fusion_config":{"flag_start":"-1"}}
}

%spread_on (p.1: bf16[8,16]) -> bf16[32,16] {
  %p.1 = bf16[8,16]{1,0:T(8,128)} parameter(0)
  ROOT %ag.1 = bf16[32,16]{1,0} all-gather(%p.1), replica_groups={{0,1,2,3}}, dimensions={0}, \
backend_config={"async_collective_fusion_config":{"flag_start":"2"}}
}

%body (carried: (s32[], f32[8,12,16,64], f32[8,12,64,16])) -> (s32[], f32[8,12,16,64], f32[8,12,64,16]) {
  %carried = (s32[]{:T(128)}, f32[8,12,16,64]{3,2,1,0}, f32[8,12,64,16]{3,2,1,0}) parameter(0)
  %count = s32[]{:T(128)} get-tuple-element(%carried), index=0
  %two = s32[]{:T(128)} constant(2)
  %next = s32[]{:T(128)} add(%count, %two)
  %lhs = f32[8,12,16,64]{3,2,1,0} get-tuple-element(%carried), index=1
  %rhs = f32[8,12,64,16]{3,2,1,0} get-tuple-element(%carried), index=2
  %product = f32[8,12,16,16]{3,2,1,0} convolution(%lhs, %rhs), \
window={size=8x12 stride=7x11 lhs_dilate=8x12}, dim_labels=01bf_01io->01bf
  %start = f32[8,12,16,16]{3,2,1,0} all-reduce-start(%product), channel_id=1, replica_groups=[2,2]<=[4], \
to_apply=%add
  %done = f32[8,12,16,16]{3,2,1,0} all-reduce-done(%start)
  ROOT %out = (s32[]{:T(128)}, f32[8,12,16,64]{3,2,1,0}, f32[8,12,64,16]{3,2,1,0}) tuple(%next, %lhs, %rhs)
}

%condition (held: (s32[], f32[8,12,16,64], f32[8,12,64,16])) -> pred[] {
  %held = (s32[]{:T(128)}, f32[8,12,16,64]{3,2,1,0}, f32[8,12,64,16]{3,2,1,0}) parameter(0)
  %bound = s32[]{:T(128)} constant(8)
  %at = s32[]{:T(128)} get-tuple-element(%held), index=0
  ROOT %less = pred[]{:T(512)} compare(%at, %bound), direction=LT
}

ENTRY %main (x: f32[8,12,16,64], y: f32[8,12,64,16], z: bf16[8,16]) -> f32[8,12,16,64] {
  %x = f32[8,12,16,64]{3,2,1,0} parameter(0)
  %y = f32[8,12,64,16]{3,2,1,0} parameter(1)
  %z = bf16[8,16]{1,0:T(8,128)} parameter(2)
  %zero = s32[]{:T(128)} constant(0)
  %first = bf16[32,16]{1,0} fusion(%z), kind=kCustom, calls=%spread
  %second = bf16[32,16]{1,0} fusion(%z), kind=kCustom, calls=%spread_on
  %begin = (s32[]{:T(128)}, f32[8,12,16,64]{3,2,1,0}, /*index=2*/f32[8,12,64,16]{3,2,1,0}) \
tuple(%zero, %x, %y)
  %loop = (s32[]{:T(128)}, f32[8,12,16,64]{3,2,1,0}, f32[8,12,64,16]{3,2,1,0}) while(%begin), \
condition=%condition, body=%body
  ROOT %result = f32[8,12,16,64]{3,2,1,0} get-tuple-element(%loop), index=1
}
"""


def test_loops_that_step_by_two_batched_convolutions_and_spread_collectives():
    costs = program_costs(parse_module(PROGRAM), 4)
    assert costs.matrix_flops == 4 * 2 * 8 * 12 * 16 * 16 * 64
    found = [(item.kind, item.bytes, item.group, item.times) for item in costs.collectives]
    assert sorted(found) == [
        ('all-gather', 32 * 16 * 2, (0, 1, 2, 3), 1),
        ('all-reduce', 8 * 12 * 16 * 16 * 4, (0, 1), 4),
    ]


def test_text_without_a_program_is_refused():
    with pytest.raises(ValueError, match='no entry computation'):
        parse_module('HloModule nothing')


@pytest.mark.parametrize(
    ('notation', 'groups'),
    [
        ('replica_groups={{0,2},{1,3}}', ((0, 2), (1, 3))),
        ('replica_groups={}', ((0, 1, 2, 3),)),
        ('replica_groups=[2,2]<=[4]', ((0, 1), (2, 3))),
        ('replica_groups=[2,2]<=[2,2]T(1,0)', ((0, 2), (1, 3))),
        ("replica_groups=mesh['a'=2,'b'=2] {'b'}", ((0, 1), (2, 3))),
        ("replica_groups=mesh['a'=2,'b'=2,'c'=1] {'a'}", ((0, 2), (1, 3))),
        ("replica_groups=mesh['a'=2,'b'=2] {'a','b'}", ((0, 1, 2, 3),)),
        ("replica_groups=mesh['a'=2,'b'=2], device_ids=([2,2]T(1,0)) {'a'}", ((0, 1), (2, 3))),
        ("replica_groups=mesh['a'=2,'b'=2], device_ids=(3,2,1,0) {'b'}", ((3, 2), (1, 0))),
        ("replica_groups=mesh['a'=4] {'a':(2)2}", ((0, 1), (2, 3))),
        ("replica_groups=mesh['a'=4] {'a':(1)2}", ((0, 2), (1, 3))),
    ],
)
def test_replica_groups_in_every_notation(notation, groups):
    assert replica_groups(f'channel_id=1, {notation}, use_global_device_ids=true', 4) == groups


def test_unknown_replica_groups_are_refused():
    with pytest.raises(ValueError, match='unknown notation'):
        replica_groups('replica_groups=<strange>', 4)


def test_positions_that_meet_by_hand():
    # A 3-wide window over 5 elements without padding, and with one element of padding on the left.
    assert meeting_positions(3, 3, 5, 1, 0, 1, 1) == 9
    assert meeting_positions(4, 3, 5, 1, 1, 1, 1) == 11
    # A batch of 8 as a dilated dimension: each output meets one element.
    assert meeting_positions(8, 8, 8, 7, 0, 8, 1) == 8
