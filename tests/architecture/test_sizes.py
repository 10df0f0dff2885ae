"""Sizes that keep a file readable (STYLE): hard limits, the soft ones are left to judgement."""

import ast

import pytest

from tests.architecture.source import FunctionNode, Module, functions, modules, place

MAX_MODULE_LINES = 400
MAX_BODY_LINES = 60
MAX_PARAMETERS = 6
MAX_NESTING = 3

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def _body_lines(node: FunctionNode) -> int:
    """Count the lines of a body; the docstring is free, however long."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _parameters(node: FunctionNode) -> int:
    arguments = node.args
    named = [item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")])


def _nesting(node: ast.AST) -> int:
    """Return how deep blocks lie in each other; ``elif`` is the same level as its ``if``."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode | ast.ClassDef | ast.Lambda):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, _nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def _too_large(module: Module) -> list[str]:
    found = []
    for node in functions(module):
        where = place(module, node)
        if (lines := _body_lines(node)) > MAX_BODY_LINES:
            found.append(f"{where}: a body of {lines} lines")
        if (count := _parameters(node)) > MAX_PARAMETERS:
            found.append(f"{where}: {count} parameters; more than {MAX_PARAMETERS} are a dataclass")
        if (depth := _nesting(node)) > MAX_NESTING:
            found.append(f"{where}: blocks nested {depth} deep")
    return found


def test_modules_fit_in_four_hundred_lines() -> None:
    long = [f"{module.name}: {module.lines}" for module in modules() if module.lines > MAX_MODULE_LINES]
    assert not long, "\n".join(long)


def test_functions_fit_on_a_screen() -> None:
    found = [line for module in modules() for line in _too_large(module)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "depth"),
    [
        ("def f():\n  pass", 0),
        ("def f():\n  if a:\n    pass\n  elif b:\n    pass\n  else:\n    pass", 1),
        ("def f():\n  for x in y:\n    with z:\n      if a:\n        try:\n          pass\n        finally:\n          pass", 4),  # noqa: E501
        ("def f():\n  def g():\n    if a:\n      pass", 0),
    ],
)  # fmt: skip
def test_nesting_is_counted_as_a_reader_counts_it(code: str, depth: int) -> None:
    assert _nesting(ast.parse(code).body[0]) == depth
