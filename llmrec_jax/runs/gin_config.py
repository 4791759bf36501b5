"""Gin on the command line as T5X users know it, with typos made into errors.

Gin itself accepts a macro that nothing refers to, and a binding of something that never runs. Both are nearly
always typos, so here both are errors that name the nearest thing that exists.
"""

import argparse
import contextlib
import copy
import dataclasses
import difflib
import io
import os
import pathlib
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Sequence

import gin
from gin import config as gin_internals

from llmrec_jax import files
from llmrec_jax.runs.gin_bindings import ConfigurationError, as_gin, check_types
from llmrec_jax.runs.gin_hints import explained, macro_hint
from llmrec_jax.runs.gin_types import MACRO

# What holds the packages llmrec_jax and gin_configs: the repository, or where both are installed.
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
REQUIRED = 'gin.REQUIRED'


@dataclasses.dataclass(frozen=True)
class GinArguments:
    """What the command line says of gin.

    Attributes:
      files: gin files, later ones override earlier ones.
      bindings: 'NAME=value' strings, which override every file; a text may be without quotes.
      search_paths: folders in which relative gin files and includes are looked up, in order.
    """

    files: tuple[str, ...]
    bindings: tuple[str, ...]
    search_paths: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--gin_file` and `--gin_search_paths`; `--gin.X=value` is taken by `parse_arguments`."""
    parser.add_argument(
        '--gin_file',
        action='append',
        default=[],
        metavar='FILE',
        help='may be given several times; the last wins',
    )
    parser.add_argument(
        '--gin_search_paths',
        default='',
        metavar='DIRS',
        help='comma-separated folders in which gin files are looked up, before the working directory',
    )


def parse_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str]
) -> tuple[argparse.Namespace, GinArguments]:
    """Splits `--gin.X=value` from the launcher's own flags and parses both.

    Raises:
      SystemExit: from argparse, on an unknown flag.
    """
    bindings = [argument[len('--gin.') :] for argument in arguments if argument.startswith('--gin.')]
    malformed = [binding for binding in bindings if '=' not in binding]
    if malformed:
        parser.error(f'--gin.{malformed[0]} has no value; write --gin.{malformed[0]}=VALUE')
    namespace = parser.parse_args([argument for argument in arguments if not argument.startswith('--gin.')])
    if not namespace.gin_file:
        parser.error('give at least one --gin_file, e.g. --gin_file=gin_configs/tiger/quickstart.gin')
    given = [path for path in namespace.gin_search_paths.split(',') if path]
    return namespace, GinArguments(
        files=tuple(namespace.gin_file),
        bindings=tuple(bindings),
        search_paths=(*given, '.', str(REPOSITORY)),
    )


@dataclasses.dataclass(frozen=True)
class LoadedConfig:
    """What is in gin's registry after `load`, as far as finding dead bindings needs it.

    Attributes:
      referenced: selectors that some gin file or binding referred to, even where a later one overrode it.
      scoped: (scope, selector) pairs likewise.
      on_command_line: (selector, parameter) pairs bound on the command line.
    """

    referenced: frozenset[str]
    scoped: frozenset[tuple[str, str]]
    on_command_line: frozenset[tuple[str, str]]


def load(arguments: GinArguments, *, complete: bool = True, asked: Collection[str] = ()) -> LoadedConfig:
    """Parses the files and bindings into gin's registry, from a clean state.

    Args:
      arguments: the files and bindings.
      complete: whether every required value must be given, as for a run; where parts of the recipe alone are
        asked for (`resolve`), a required value is missed only by what needs it.
      asked: macros that the launcher itself reads, so that no file need refer to them.

    Raises:
      ConfigurationError: on a missing file or one that is not UTF-8, an unknown configurable or parameter, a
        value of the wrong type, or a macro nothing uses.
    """
    gin.clear_config(clear_constants=True)
    found = [str(_find(file, arguments.search_paths)) for file in arguments.files]
    for path in arguments.search_paths:
        gin.add_config_file_search_path(path)
    texts = [text for file in found for text in _texts(pathlib.Path(file), arguments.search_paths)]
    try:
        with _plain_files():
            for file in found:
                gin.parse_config_file(file)
        before = _bindings()
        bindings = [as_gin(binding, before) for binding in arguments.bindings]
        gin.parse_config(bindings)
        after = _bindings()
        macros = _referenced('%', [*texts, *bindings]) | set(asked)
        _check_macros(before, 'in the gin files', macros)
        _check_macros(after.keys() - before.keys(), 'on the command line', macros)
        names = _referenced('@', [*texts, *bindings])
        scoped = frozenset(
            (name.rpartition('/')[0], selector)
            for name in names
            for selector in gin_internals._REGISTRY.matching_selectors(name.rpartition('/')[2])
        )
        selectors = frozenset(selector for _, selector in scoped)
        check_types(after, arguments.bindings)
        if complete:
            _release_replaced(selectors)
            gin.finalize()
    except ConfigurationError:
        raise
    except (ValueError, ImportError, OSError, SyntaxError, tokenize.TokenError) as error:
        raise ConfigurationError(explained(str(error))) from error
    changed = {key[1:] for key, value in after.items() if key not in before or before[key] is not value}
    return LoadedConfig(selectors, scoped, frozenset(changed))


def _release_replaced(named: frozenset[str]) -> None:
    """Lets a recipe go without what a later file made needless, such as the folder of a replaced corpus.

    Args:
      named: selectors that some gin file or binding referred to.
    """
    bindings = _bindings()
    used = [
        (selector, one)
        for (_, selector, _), value in bindings.items()
        for one in gin_internals.iterate_references(value)
    ]
    replaced = named - {one.configurable.selector for _, one in used}
    needed = {'/'.join(one.scopes) for selector, one in used if selector not in replaced}
    for (scope, selector, parameter), value in bindings.items():
        if selector == MACRO and repr(value) == f'%{REQUIRED}' and scope not in needed:
            gin.bind_parameter((scope, selector, parameter), None)


def instantiate(configurable, loaded: LoadedConfig):
    """Calls `configurable` with its gin bindings.

    Raises:
      ConfigurationError: when a value has a type that its taker cannot work with, or a binding has no effect.
        A file's binding of something that the command line replaced is no error: it came with the recipe.
    """
    try:
        instance = gin.get_configurable(configurable)()
    except TypeError as error:
        # What the annotations could not tell, such as a number within a structure.
        raise ConfigurationError(str(error)) from error
    called = set(gin_internals._OPERATIVE_CONFIG)
    used = {selector for _, selector in called}
    for scope, selector, parameter in _bindings():
        if selector == MACRO:
            continue
        if selector not in used:
            if selector not in loaded.referenced or (selector, parameter) in loaded.on_command_line:
                raise ConfigurationError(
                    f'the binding of {selector}.{parameter} has no effect: nothing in this recipe calls it; '
                    'remove it, or refer to it with @'
                )
        elif scope and _is_dead(scope, selector, called, loaded):
            raise ConfigurationError(
                f'the binding of {scope}/{selector}.{parameter} has no effect: nothing in this recipe calls '
                f'{selector} in the scope {scope}; remove it, or refer to @{scope}/{selector}'
            )
    return instance


def _is_dead(scope: str, selector: str, called: Collection[tuple[str, str]], loaded: LoadedConfig) -> bool:
    """Whether a scoped binding says something that nothing hears, nor would but for what replaced it."""
    within = {name for at, name in called if f'{at}/'.startswith(f'{scope}/')}
    replaced = (scope, selector) in loaded.scoped
    whole_scope_replaced = not within and scope in {at for at, _ in loaded.scoped}
    return selector not in within and not replaced and not whole_scope_replaced


def override(name: str, parameter: str, value: object) -> None:
    """Binds a parameter of a configurable to `value` where the recipe binds it at all.

    For a registry that `load` left incomplete: a complete one is locked.
    """
    for scope, selector, bound in _bindings():
        if selector.split('.')[-1] == name and bound == parameter:
            gin.bind_parameter((scope, selector, parameter), value)


def resolve(name: str, parameters: Iterable[str]) -> dict[str, object]:
    """What the recipe binds to some parameters of a configurable; the others need not be resolvable.

    Args:
      name: of the configurable, e.g. 'Recipe'.
      parameters: names of its parameters; one without a binding is left out.

    Raises:
      ConfigurationError: when a bound value cannot be made.
    """
    bound = {parameter for _, selector, parameter in _bindings() if selector.split('.')[-1] == name}
    try:
        # Gin resolves references by copying the structure that they stand in.
        return {
            parameter: copy.deepcopy(gin.query_parameter(f'{name}.{parameter}'))
            for parameter in parameters
            if parameter in bound
        }
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(explained(str(error))) from error


def configured(base: type) -> type:
    """The class derived from `base` that the loaded files configure.

    Raises:
      ConfigurationError: when they configure none, or more than one.
    """
    found = _bound_classes(base)
    if len(found) != 1:
        raise ConfigurationError(
            f'these gin files must configure one {base.__name__}, and configure '
            f'{" and ".join(cls.__name__ for cls in found) or "none"}'
        )
    return found[0]


def configures(base: type) -> bool:
    """Whether the loaded files configure a class derived from `base`."""
    return bool(_bound_classes(base))


def bound_classes() -> list[type]:
    """The classes of which the loaded files bind a parameter."""
    return _bound_classes(object)


def class_of_macro(name: str) -> type | None:
    """The class of the object that a macro stands for, as in CORPUS = @module.Class(); None where unbound."""
    value = _bindings().get((name, MACRO, 'value'))
    if not isinstance(value, gin_internals.ConfigurableReference):
        return None
    wrapped = value.configurable.wrapped
    return wrapped if isinstance(wrapped, type) else None


def refuse_missing(cls: type) -> None:
    """Checks that the values bound to the parameters of a class are there; `load` checks all where it must.

    Raises:
      ConfigurationError: naming the first macro that is required and not given.
    """
    bindings = _bindings()
    for (_, selector, _), value in bindings.items():
        if gin_internals._REGISTRY.get_match(selector).wrapped is cls:
            macro = repr(value).removeprefix('%')
            if repr(bindings.get((macro, MACRO, 'value'))) == f'%{REQUIRED}':
                raise ConfigurationError(explained(f'{macro} set to `%gin.REQUIRED` but not given'))


def _bound_classes(base: type) -> list[type]:
    bound = sorted({selector for _, selector, _ in _bindings()})
    wrapped = [gin_internals._REGISTRY.get_match(selector).wrapped for selector in bound]
    return [cls for cls in wrapped if isinstance(cls, type) and issubclass(cls, base)]


def operative_config() -> str:
    """Every value in force, defaults included, as a gin file that reproduces the run."""
    return gin.operative_config_str()


@contextlib.contextmanager
def _plain_files() -> Iterator[None]:
    """Has gin read files in UTF-8, and not look for included ones in packages too.

    The search paths lead to all of them, and gin logs an error for every file that is in no package.
    """
    readers = gin_internals._FILE_READERS
    gin_internals._FILE_READERS = [(_opened, os.path.isfile)]
    try:
        yield
    finally:
        gin_internals._FILE_READERS = readers


def _opened(path: str) -> io.StringIO:
    text = io.StringIO(files.read_text(path))
    # By which gin tells where something is wrong.
    text.name = path
    return text


def _find(file: str, search_paths: Sequence[str]) -> pathlib.Path:
    candidates = [pathlib.Path(path) / file for path in search_paths]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    folder = REPOSITORY / 'gin_configs'
    known = [str(path.relative_to(REPOSITORY)) for path in sorted(folder.rglob('*.gin'))]
    close = difflib.get_close_matches(file, known, n=1, cutoff=0.5)
    hint = f'; did you mean {close[0]!r}?' if close else ''
    raise ConfigurationError(f'no gin file {file!r} in {", ".join(search_paths)}{hint}')


def _bindings() -> dict[tuple[str, str, str], object]:
    """(scope, selector, parameter) -> value; a macro's name is its scope."""
    return {
        (scope, selector, parameter): value
        for (scope, selector), parameters in gin_internals._CONFIG.items()
        for parameter, value in parameters.items()
    }


def _texts(file: pathlib.Path, search_paths: Sequence[str]) -> list[str]:
    """The file and all that it includes, comments left out.

    References are read off the text, because the registry keeps of an overridden value no trace.
    """
    text = re.sub(r'#.*', '', files.read_text(file))
    included = [_find(name, search_paths) for name in re.findall(r"""^include\s+['"]([^'"]+)""", text, re.M)]
    return [text, *(part for path in included for part in _texts(path, search_paths))]


def _referenced(sigil: str, texts: Sequence[str]) -> set[str]:
    return {name for text in texts for name in re.findall(rf'{sigil}([\w./]+)', text)}


def _check_macros(keys: Iterable[tuple[str, str, str]], where: str, referenced: set[str]) -> None:
    for name in sorted({scope for scope, selector, _ in keys if selector == MACRO} - referenced):
        hint = macro_hint(name, sorted(referenced - {REQUIRED}))
        raise ConfigurationError(
            f'{name} is set {where}, but nothing in this recipe refers to %{name}; {hint}'
        )
