"""Own prices, as YAML or CSV: the same fields as the seed files, each row judged by itself.

YAML is a mapping with a list ``prices``, as in ``hardware_catalog/list_prices`` and ``gpu_prices``. CSV has
one column a field; the axes of a selector are columns ``selector.service_tier`` and the like. A row with
``accelerator`` is a GPU price, every other a list price.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from service.application.ports import Price
from service.billing.errors import BillingError
from service.billing.selectors import selector_from_mapping
from service.catalog.drafts import GpuPriceDraft, ImportBatch, ListPriceDraft, RejectedDraft
from service.catalog.importers.reading import (
    Adapter,
    ReadContext,
    Row,
    SourceError,
    batch_of,
    read_csv,
    read_text,
)
from service.catalog.seed_schema import GpuPriceSeed, ListPriceSeed
from service.catalog.yaml_reader import YamlError, parse_yaml

SOURCE: Final = "own-file"
_MAX_DIGITS: Final = 15
_AXIS: Final = "selector."
_INTEGERS: Final = frozenset({"gpus_per_instance", "selector.context_from", "selector.context_to"})


def read_own_yaml(content: bytes, context: ReadContext) -> ImportBatch:
    """Read a YAML file of prices.

    Raises
    ------
    SourceError
        Where it is not YAML, uses aliases, tags or duplicate keys, or has no list ``prices``.
    """
    try:
        document = parse_yaml(read_text(content))
    except YamlError as error:
        raise SourceError(f"The source is not usable YAML: {error}.") from error
    prices = document.get("prices") if isinstance(document, dict) else None
    if not isinstance(prices, list) or set(document) != {"prices"}:
        raise SourceError("The file is a mapping with nothing but a list under `prices`.")
    rows = ((f"prices.{index}", values) for index, values in enumerate(prices))
    return batch_of((_row(origin, values, context) for origin, values in rows), context)


def read_own_csv(content: bytes, context: ReadContext) -> ImportBatch:
    """Read a CSV file of prices.

    Raises
    ------
    SourceError
        Where it lacks the columns that every price has.
    """
    wanted = ("provider", "amount", "currency", "per", "valid_from", "valid_from_basis")
    return batch_of(_csv_rows(content, wanted, context), context)


def _csv_rows(content: bytes, wanted: tuple[str, ...], context: ReadContext) -> Iterator[Row]:
    for line, cells in read_csv(content, wanted):
        origin = f"line {line}"
        if isinstance(cells, str):
            yield RejectedDraft(origin, cells)
            continue
        try:
            values = _nested(cells)
        except ValueError as error:
            yield RejectedDraft(origin, str(error))
            continue
        yield _row(origin, values, context)


def _nested(cells: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    selector: dict[str, Any] = {}
    for name, cell in cells.items():
        if not cell:
            continue
        value: Any = _whole(name, cell) if name in _INTEGERS else cell
        if name.startswith(_AXIS):
            selector[name.removeprefix(_AXIS)] = value
        else:
            values[name] = value
    if selector:
        values["selector"] = selector
    return values


def _whole(name: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= _MAX_DIGITS):
        raise ValueError(f"{name} is {cell[:40]!r}; a whole number is wanted")
    return int(cell)


def _row(origin: str, values: Any, context: ReadContext) -> Row:
    if not isinstance(values, dict):
        return RejectedDraft(origin, "a row is a mapping of fields")
    given = {"source": context.source, **values}
    try:
        if "accelerator" in given:
            return _gpu_price(GpuPriceSeed.model_validate(given), origin, context)
        return _list_price(ListPriceSeed.model_validate(given), origin)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return RejectedDraft(origin, f"{where}: {first['msg']}")
    except BillingError as error:
        return RejectedDraft(origin, error.message)


def _gpu_price(seed: GpuPriceSeed, origin: str, context: ReadContext) -> GpuPriceDraft:
    return GpuPriceDraft(
        source=seed.source,
        provider=seed.provider,
        accelerator=context.accelerators.get(seed.accelerator.lower(), seed.accelerator),
        region=seed.region,
        commitment=seed.commitment,
        gpus_per_instance=seed.gpus_per_instance,
        price=Price(seed.amount, seed.currency, seed.per, seed.source_value),
        valid_from=seed.valid_from,
        valid_from_basis=seed.valid_from_basis,
        valid_to=seed.valid_to,
        note=seed.note,
        origin=origin,
    )


def _list_price(seed: ListPriceSeed, origin: str) -> ListPriceDraft:
    axes = seed.selector.model_dump(exclude_none=True)
    return ListPriceDraft(
        source=seed.source,
        provider=seed.provider,
        provider_model_id=seed.provider_model_id,
        meter=seed.meter,
        selector=selector_from_mapping(axes),
        price=Price(seed.amount, seed.currency, seed.per, seed.source_value),
        valid_from=seed.valid_from,
        valid_from_basis=seed.valid_from_basis,
        valid_to=seed.valid_to,
        note=seed.note,
        origin=origin,
    )


YAML_ADAPTER: Final = Adapter("own-yaml", read_own_yaml, SOURCE)
CSV_ADAPTER: Final = Adapter("own-csv", read_own_csv, SOURCE)
