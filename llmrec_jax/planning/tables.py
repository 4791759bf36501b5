"""A plan as tables for a terminal."""

from collections.abc import Sequence

from llmrec_jax.planning.compilation import OutOfMemory
from llmrec_jax.planning.decoding_plan import DecodingPlan
from llmrec_jax.planning.report import Report, sent_bytes
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.training_plan import TrainingPlan


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first is left-aligned, the others right-aligned."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    aligned = [
        '  '.join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    aligned.insert(1, '  '.join('-' * width for width in widths))
    return '\n'.join(aligned)


GIB, GB, TERA = 2**30, 1e9, 1e12
UNKNOWN = '-'
SETTING = ['batch', 'mesh', 'rules', 'moments', 'remat', 'dtype']


def report_text(report: Report) -> str:
    """The tables, with the lines that say what they are of."""
    parts = [_heading(report)]
    if report.training:
        parts += [_memory_table(report), _speed_table(report)]
    if report.decoding:
        parts.append(_decoding_table(report))
    return '\n\n'.join(parts)


def _heading(report: Report) -> str:
    workload, lengths = report.workload, report.workload.trainer.feature_lengths
    lines = [
        f'{workload.parameters:,} parameters; '
        f'{", ".join(f"{length} {name}" for name, length in lengths.items())} an example; '
        f'{workload.trainer.microbatches} microbatches an update',
        workload.flops_told(),
        _chip_line(report.topology),
        "Memory and work are a device's. Times are the roofline's: the least that a step can take.",
    ]
    if any(plan.uncounted_loops for plan in report.training):
        lines.append(
            f'Loops whose length the data decide are counted as {workload.loop_runs} runs, the most.'
        )
    return '\n'.join(lines)


def _chip_line(topology: Topology) -> str:
    named = f'{topology.name}: {len(topology.devices)} devices, {topology.devices[0].device_kind}'
    chip = topology.chip
    if chip is None:
        return f'{named}; figures not known, so no times'
    return (
        f'{named}; each {chip.peak_flops / TERA:,.0f} TFLOP/s bf16, {chip.usable_bytes / GIB:.2f} GiB, '
        f'{chip.memory_bandwidth / GB:,.0f} GB/s, {chip.link_bandwidth / GB:.0f} GB/s a link each way'
    )


def _memory_table(report: Report) -> str:
    header = [*SETTING, 'parameters', 'optimizer', 'gradients', 'activations, temp', 'rest', 'total', '']
    rows = [[*_setting(plan), *_memory_cells(report, plan)] for plan in report.training]
    return 'Training step: memory, GiB\n' + text_table(header, rows)


def _memory_cells(report: Report, plan: TrainingPlan) -> list[str]:
    memory = plan.memory
    if memory is None:
        return [*[UNKNOWN] * 5, _needed(plan.out_of_memory), 'out of memory']
    sizes = (memory.parameters, memory.optimizer_state, memory.gradients, memory.temporaries, memory.rest)
    verdict = 'best' if plan is report.best else 'fits' if report.fits(plan) else 'does not fit'
    return [*(f'{size / GIB:.2f}' for size in (*sizes, memory.total)), verdict]


def _speed_table(report: Report) -> str:
    header = [*SETTING, 'model TFLOP', 'x executed', 'HBM GB', 'network GB', 'ms', 'bound', 'MFU %']
    header += ['examples/s', 'tokens/s', *(['h/epoch', 'cost/epoch'] if report.price else []), '']
    rows = [[*_setting(plan), *_speed_cells(report, plan)] for plan in report.training]
    return 'Training step: work and time\n' + text_table(header, rows)


def _speed_cells(report: Report, plan: TrainingPlan) -> list[str]:
    devices, rate = len(report.topology.devices), report.examples_per_second(plan)
    cells = [_number(plan.model_flops, '.3g', 1 / devices / TERA)]
    if plan.memory is None:
        return [*cells, *[UNKNOWN] * (10 if report.price else 8), 'out of memory']
    cells += [
        _number(plan.model_flops and plan.matrix_flops * devices / plan.model_flops, '.2f'),
        f'{plan.memory_bytes / GB:.1f}',
        f'{sent_bytes(plan.collectives) / GB:.2f}',
        _number(plan.step_seconds, '.1f', 1000),
        plan.bound or UNKNOWN,
        _number(report.utilisation(plan), '.1f', 100),
        _number(rate, ',.0f'),
        _number(rate, ',.0f', report.workload.tokens),
    ]
    if report.price:
        cells.append(_number(rate and report.price.epoch_hours(rate), '.3g'))
        cells.append(_number(rate and report.price.epoch_cost(rate, report.topology.chips), ',.2f'))
    return [*cells, 'best' if plan is report.best else '' if report.fits(plan) else 'does not fit']


def _decoding_table(report: Report) -> str:
    header = ['users', 'mesh', 'rules', 'dtype', 'parameters', 'cache, inputs', 'temp', 'total GiB']
    header += ['model GFLOP', 'HBM GB', 'network GB', 'ms', 'bound', 'users/s', '']
    rows = [_decoding_cells(report, plan) for plan in report.decoding]
    workload = report.workload
    return f'{workload.decoding.title(workload.model, workload.trainer)}\n' + text_table(header, rows)


def _decoding_cells(report: Report, plan: DecodingPlan) -> list[str]:
    setting, memory, time = plan.setting, plan.memory, plan.time
    cells = [
        str(plan.users),
        _mesh(setting.mesh),
        setting.rules,
        setting.dtype or UNKNOWN,
        f'{plan.parameters / GIB:.2f}',
    ]
    gflop = _number(plan.model_flops, '.3g', 1 / len(report.topology.devices) / 1e9)
    if memory is None:
        return [*cells, UNKNOWN, UNKNOWN, _needed(plan.out_of_memory), gflop, *[UNKNOWN] * 5, 'out of memory']
    others = memory.total - plan.parameters - memory.temporaries
    return [
        *cells,
        *(f'{size / GIB:.2f}' for size in (others, memory.temporaries, memory.total)),
        gflop,
        f'{plan.memory_bytes / GB:.2f}',
        f'{sent_bytes(plan.collectives) / GB:.3f}',
        _number(time and time.seconds, '.2f', 1000),
        time.bound if time else UNKNOWN,
        _number(time and plan.users / time.seconds, ',.0f'),
        '',
    ]


def _setting(plan: TrainingPlan) -> list[str]:
    setting = plan.setting
    moments = setting.optimizer_sharding
    return [
        str(setting.batch_size),
        _mesh(setting.mesh),
        setting.rules,
        moments,
        setting.remat or UNKNOWN,
        setting.dtype or UNKNOWN,
    ]


def _mesh(mesh: tuple[int, int]) -> str:
    return f'{mesh[0]}x{mesh[1]}'


def _needed(out_of_memory: OutOfMemory) -> str:
    return UNKNOWN if out_of_memory.needed is None else f'{out_of_memory.needed / GIB:.2f}'


def _number(value: float | int | None, form: str, scale: float | int = 1) -> str:
    return UNKNOWN if value is None else format(value * scale, form)
