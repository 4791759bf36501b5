from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from llmrec_jax.corpora.tables.times import UnknownForm, times

MOMENT = 1_577_934_245  # 2020-01-02 03:04:05


def read(values, form=None, kind=None):
    found = times(pa.chunked_array([pa.array(values, kind)]), form)
    return found.seconds(found.ticks), found


def test_days_that_are_numbers_are_read_by_their_pattern():
    seconds, found = read([20200102, 20200103], '%Y%m%d')
    assert np.diff(seconds).tolist() == [86_400]
    assert not found.bad.any()


@pytest.mark.parametrize(
    ('value', 'form'),
    [
        (MOMENT, 's'),
        (str(MOMENT), 's'),
        (f'{MOMENT}.0', 's'),
        (float(MOMENT), 's'),
        (MOMENT * 1000 + 7, 'ms'),
        (f'{MOMENT * 1000 + 7}', 'ms'),
        (MOMENT * 10**6, 'us'),
        (MOMENT * 10**9, 'ns'),
        ('2020-01-02 03:04:05', 'iso'),
        ('2020-01-02T03:04:05Z', 'iso'),
        ('2020-01-02T03:04:05.25', 'iso'),
        ('2020-01-02 03:04:05 UTC', 'iso'),
        ('2020-01-02T05:04:05+02:00', 'iso'),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), 'iso'),
    ],
)
def test_the_form_is_guessed(value, form):
    column = pa.array([value])
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp('us'))
    found = times(pa.chunked_array([column]), None)
    assert found.form == form
    assert found.seconds(found.ticks).tolist() == [MOMENT]
    assert not found.bad.any()


def test_days_are_days():
    midnight = datetime(2020, 1, 2, tzinfo=UTC).timestamp()
    for value in ('2020-01-02', 20200102, '20200102'):
        assert read([value])[0].tolist() == [midnight]


def test_a_named_form_is_taken():
    assert read(['02/01/2020 03:04'], '%d/%m/%Y %H:%M')[0].tolist() == [MOMENT - 5]
    assert read([20200102], 's')[0].tolist() == [20200102]
    assert read([MOMENT], 'ms')[0].tolist() == [MOMENT // 1000]


def test_small_numbers_are_ranks():
    seconds, found = read([3, 1, 2])
    assert seconds.tolist() == [3, 1, 2]
    assert found.told == 'seconds'


def test_what_lies_below_a_second_keeps_the_order():
    _, found = read(['2020-01-02 03:04:05.50', '2020-01-02 03:04:05.25'])
    assert np.argsort(found.ticks).tolist() == [1, 0]
    _, found = read([MOMENT + 0.5, MOMENT + 0.25])
    assert np.argsort(found.ticks).tolist() == [1, 0]


def test_zoned_and_local_times_may_stand_in_one_column():
    seconds, _ = read(['2020-01-02T03:04:05', '2020-01-02T03:04:05Z', '2020-01-02T04:04:05+0100'])
    assert seconds.tolist() == [MOMENT] * 3


def test_what_is_no_time_is_told_row_by_row():
    for values, bad in (
        ([str(MOMENT), 'x', '', str(MOMENT)], [1, 2]),
        (['2020-01-02', '2020-13-01', '2020-01-32', None], [1, 2, 3]),
    ):
        _, found = read(values)
        assert np.flatnonzero(found.bad).tolist() == bad


@pytest.mark.parametrize('values', [['', '13/12/2020'], ['', 'yesterday'], [MOMENT, MOMENT * 1000]])
def test_an_unknown_form_is_an_error_at_a_row(values):
    with pytest.raises(UnknownForm) as raised:
        read(values)
    assert raised.value.row == 1


def test_a_unit_that_is_named_is_taken_for_all():
    assert read([MOMENT, MOMENT * 1000], 's')[0].tolist() == [MOMENT, MOMENT * 1000]
