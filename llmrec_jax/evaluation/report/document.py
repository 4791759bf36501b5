"""The frame of a page: one HTML file that needs no other."""

from collections.abc import Iterable

from llmrec_jax.evaluation.report.markup import Markup, tag
from llmrec_jax.evaluation.report.style import STYLE


def document(title: str, subtitle: str, sections: Iterable[Markup]) -> str:
    """The whole file: a heading, what stands below it, and the sections."""
    head = tag(
        'head',
        tag('meta', charset='utf-8'),
        tag('meta', name='viewport', content='width=device-width, initial-scale=1'),
        tag('title', title),
        tag('style', Markup(STYLE)),
    )
    header = tag('header', tag('h1', title), tag('p', subtitle))
    return f'<!doctype html>\n{tag("html", head, tag("body", tag("main", header, *sections)), lang="en")}\n'
