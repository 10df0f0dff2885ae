"""The workload of a request as the engine's mix."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.requests import WorkloadClass
from service.engine.types import ModelWork
from service.engine.workload import Mix, make_mix

MAX_CLASSES: Final = 256
MAX_SAMPLES: Final = 4_096


def mix_of(workload: Sequence[WorkloadClass], work: ModelWork) -> tuple[Mix, tuple[str, ...]]:
    """Return the mix of a workload and the names of its classes.

    Raises
    ------
    InvalidRequestError, LimitExceededError, InvalidInputError
        What a class gets wrong, with its field.
    """
    if len(workload) == 0:
        raise InvalidRequestError(
            "The mix is empty; give at least one class.", field="workload.classes", code="empty-mix"
        )
    if len(workload) > MAX_CLASSES:
        raise LimitExceededError(
            f"The mix has {len(workload)} classes; at most {MAX_CLASSES} are accepted.",
            field="workload.classes",
            accepted={"maximum_classes": MAX_CLASSES},
        )
    rows: list[tuple[float, float, float]] = []
    index: list[int] = []
    weights: list[float] = []
    for number, one in enumerate(workload):
        samples = _class_samples(one, f"workload.classes.{number}")
        rows.extend(samples)
        index.extend([number] * len(samples))
        weights.extend([one.weight / len(samples)] * len(samples))
    if len(rows) > MAX_SAMPLES:
        raise LimitExceededError(
            f"The samples hold {len(rows)} requests; at most {MAX_SAMPLES} are accepted.",
            field="workload.classes",
            accepted={"maximum_samples": MAX_SAMPLES},
        )
    longest = max(row[0] + row[2] for row in rows)
    if longest > work.max_context_tokens:
        raise InvalidRequestError(
            f"The longest request has {longest:.0f} tokens; {work.name} takes {work.max_context_tokens}.",
            field="workload.classes",
            code="context-too-long",
            accepted={"maximum_context_tokens": work.max_context_tokens},
        )
    names = tuple(one.name for one in workload)
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InvalidRequestError(
            f"{names.count(repeated)} classes are called {repeated!r}; names must differ.",
            field="workload.classes",
            code="duplicate-class",
        )
    return make_mix(rows, index, weights), names


def _class_samples(one: WorkloadClass, field: str) -> list[tuple[float, float, float]]:
    if not (np.isfinite(one.weight) and one.weight >= 0):
        raise InvalidRequestError(
            f"{field}.weight is {one.weight}; it must be 0 or more.", field=f"{field}.weight"
        )
    if one.sample is not None:
        if not one.sample:
            raise InvalidRequestError(f"{field}.sample is empty.", field=f"{field}.sample", code="empty-mix")
        if one.input_tokens is not None or one.output_tokens is not None or one.cached_share is not None:
            raise InvalidRequestError(
                f"{field} gives a sample and fixed lengths; give one of the two.", field=field
            )
        return [(float(s.input_tokens), float(s.cached_tokens), float(s.output_tokens)) for s in one.sample]
    share = one.cached_share or 0.0
    for name in ("input_tokens", "output_tokens"):
        if getattr(one, name) is None:
            raise InvalidRequestError(
                f"{field}.{name} is missing; give fixed lengths or a sample.", field=f"{field}.{name}"
            )
    if not 0 <= share <= 1:
        raise InvalidRequestError(
            f"{field}.cached_share is {share}; it must lie between 0 and 1.",
            field=f"{field}.cached_share",
            accepted={"minimum": 0, "maximum": 1},
        )
    prompt, output = float(one.input_tokens or 0), float(one.output_tokens or 0)
    for name, value in (("input_tokens", prompt), ("output_tokens", output)):
        if value < 1:
            raise InvalidRequestError(
                f"{field}.{name} is {value:.0f}; it must be at least 1.", field=f"{field}.{name}"
            )
    return [(prompt, prompt * share, output)]
