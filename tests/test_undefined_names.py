import pytest

from tests.undefined_names import undefined


@pytest.mark.parametrize(
    ('source', 'names'),
    [
        ('import os\ndef f(a):\n    return a + b', ['b']),
        ('def top(self, k):\n    return self.x + k + later\nlater = 1', []),
        ('class A:\n    x = 1\n    def f(self):\n        return x', ['x']),
        ('def f():\n    global made\n    made = 1\ndef g():\n    return made', []),
        ('print([n for n in range(3)], __file__, n)', ['n']),
        ("from jaxtyping import Float\ndef f(a: Float[int, 'users']) -> Float[int, 'k']: ...", []),
        ('def f(a: Missing): ...', ['Missing']),
        ('try:\n    pass\nexcept Errors:\n    pass', ['Errors']),
    ],
)
def test_names_that_nothing_defines_are_found(source, names):
    assert undefined(source) == names
