"""The package as parsed files, for tests that read code rather than run it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "service"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path
    name: str
    """Dotted, ``service.engine.units``."""
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """Return the folder below ``service``, or the module's own name at its top level."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "service"


@dataclass(frozen=True)
class Import:
    """One imported module or name."""

    importer: Module
    target: str
    """Dotted; for ``from a import b`` it is ``a.b``."""
    line: int
    deferred: bool
    """Inside a function, so that it costs nothing at start-up."""

    def __str__(self) -> str:
        return f"{self.importer.path.relative_to(REPOSITORY)}:{self.line} imports {self.target}"


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_parse(path) for path in sorted(PACKAGE.rglob("*.py")))


def _parse(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(path, name, ast.parse(text, str(path)), text.count("\n"))


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for module in modules() for found in _imports_of(module))


def _imports_of(module: Module) -> Iterator[Import]:
    inside = {
        id(child)
        for node in ast.walk(module.tree)
        if isinstance(node, FunctionNode)
        for child in ast.walk(node)
        if isinstance(child, ast.Import | ast.ImportFrom)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module)
            targets = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            yield Import(module, target, node.lineno, id(node) in inside)


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    kept = package[: len(package) - node.level + (module.path.name == "__init__.py")]
    return ".".join([*kept, *([node.module] if node.module else [])])


def functions(module: Module) -> Iterator[FunctionNode]:
    for node in ast.walk(module.tree):
        if isinstance(node, FunctionNode):
            yield node


def place(module: Module, node: ast.stmt | ast.expr) -> str:
    name = getattr(node, "name", "")
    return f"{module.path.relative_to(REPOSITORY)}:{node.lineno} {name}".rstrip()
