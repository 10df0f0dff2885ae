"""CSV files of measured runs, and configurations of models beside them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from service.application.errors import InvalidRequestError
from service.cli.files import read_config

MAX_CSV_BYTES: Final = 256 * 2**20


def read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns and rows of a CSV file.

    Raises
    ------
    InvalidRequestError
        Where the file cannot be read, is no text, has no header or no row.
    """
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise _unusable(path, f"it is larger than {MAX_CSV_BYTES // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be opened") from error
    except UnicodeDecodeError as error:
        raise _unusable(path, "it is not UTF-8 text") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    try:
        rows = [{key: value for key, value in row.items() if key} for row in reader]
    except csv.Error as error:
        raise _unusable(path, str(error)) from error
    columns = [name for name in reader.fieldnames or () if name]
    if not columns or not rows:
        raise _unusable(path, "it is empty" if not columns else "it has a header but no row")
    return columns, rows


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows; cells and names of columns that a spreadsheet would run as formulas are written as text.

    Raises
    ------
    InvalidRequestError
        Where the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([_quoted(name) for name in columns])
            writer.writerows([_quoted(row.get(name, "")) for name in columns] for row in rows)
    except OSError as error:
        raise _unusable(path, error.strerror or "it cannot be written") from error


def config_reader(directory: Path | None) -> Callable[[str], Mapping[str, Any] | None]:
    """Return a reader of ``DIR/<org>--<name>.json`` by Hugging Face name, or by its unique last part.

    Raises
    ------
    InvalidRequestError
        Where ``directory`` is no folder.
    """
    if directory is None:
        return lambda _: None
    if not directory.is_dir():
        raise _unusable(directory, "it is no folder")
    by_name = {path.stem.lower(): path for path in sorted(directory.glob("*.json"))}
    by_last: dict[str, list[Path]] = {}
    for name, path in by_name.items():
        by_last.setdefault(name.rsplit("--", 1)[-1], []).append(path)

    def read(name: str) -> Mapping[str, Any] | None:
        lowered = name.lower()
        path = by_name.get(lowered.replace("/", "--"))
        if path is None:
            same = by_last.get(lowered.rsplit("/", 1)[-1], [])
            path = same[0] if len(same) == 1 else None
        return None if path is None else read_config(path)

    return read


def _quoted(cell: str) -> str:
    # OWASP, "CSV injection": these six begin a formula in some spreadsheet.
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _unusable(path: Path, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{path} cannot be used: {why}.", field="file", code="unreadable-file")
