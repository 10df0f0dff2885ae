"""Scale factors have one home, and public names say what they are."""

import ast
from collections.abc import Iterator

from tests.architecture.source import FunctionNode, Module, modules, place

SCALE_FACTORS = {10**9, 2**30, 3600}
UNITS = "service.engine.units"


def _scale_factors(module: Module) -> Iterator[str]:
    """Find 1e9, 3600, 2**30, 1024**3, 10**9, 1_000_000_000 however they are spelt."""
    for node in ast.walk(module.tree):
        value = None
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            value = node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.Mult | ast.LShift):
            value = _constant(node)
        if value in SCALE_FACTORS and isinstance(node, ast.expr):
            yield f"{place(module, node)} {value}"


def _constant(node: ast.BinOp) -> float | int | None:
    if not isinstance(node.left, ast.Constant) or not isinstance(node.right, ast.Constant):
        return None
    left, right = node.left.value, node.right.value
    if type(left) not in (int, float) or type(right) not in (int, float) or abs(right) > 10**10:
        return None
    if isinstance(node.op, ast.Mult):
        return left * right  # type: ignore[no-any-return, operator]
    if abs(right) > 64:
        return None
    return left**right if isinstance(node.op, ast.Pow) else int(left) << int(right)  # type: ignore[operator]


def test_scale_factors_live_in_the_units_module_only() -> None:
    found = [line for module in modules() if module.name != UNITS for line in _scale_factors(module)]
    assert not found, "\n".join(found)


def _undocumented(module: Module) -> Iterator[str]:
    if ast.get_docstring(module.tree) is None:
        yield f"{module.path.name}: the module"
    for node in _public(module.tree):
        if ast.get_docstring(node) is None:
            yield place(module, node)


def _public(owner: ast.Module | ast.ClassDef) -> Iterator[FunctionNode | ast.ClassDef]:
    """Find public functions and classes, and the public methods of public classes."""
    for node in owner.body:
        if isinstance(node, FunctionNode | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_every_public_name_has_a_docstring() -> None:
    found = [line for module in modules() for line in _undocumented(module)]
    assert not found, "\n".join(found)
