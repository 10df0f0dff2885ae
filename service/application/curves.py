"""The use case of curves: one axis, its series, where things cross, and what-ifs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np

from service.application.answer_sources import digest_of, provenance_of
from service.application.counterfactuals import counterfactual
from service.application.crossovers import crossovers
from service.application.curve_answers import CurveAnswer, CurveShape
from service.application.curve_axes import (
    DEFAULT_POINTS,
    Drawn,
    batch_curve,
    cached_share_curve,
    context_curve,
    price_curve,
    ratio_curve,
    utilisation_curve,
)
from service.application.curve_positions import length_curve, position_curve
from service.application.curve_requests import CurveAxis, CurveRequest, CurveSpec
from service.application.digests import digest_with
from service.application.errors import InvalidRequestError
from service.application.estimate import Estimator, Solution, point_of
from service.application.figures import figures
from service.application.ports import CatalogSnapshot
from service.application.render import plain_request, request_to_json_values
from service.application.requests import EstimateRequest

AXES: Mapping[CurveAxis, Callable[[Solution, CurveSpec], Drawn]] = {
    "position": position_curve,
    "input_tokens": length_curve,
    "output_tokens": length_curve,
    "batch": batch_curve,
    "context": context_curve,
    "cached_share": cached_share_curve,
    "input_to_output_ratio": ratio_curve,
    "utilisation": utilisation_curve,
    "price": price_curve,
}
AXES_OF_ONE_REQUEST = frozenset({"position", "input_tokens", "output_tokens"})


class CurveDrawer:
    """Draws curves with what an estimator keeps."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def draw(self, request: CurveRequest, snapshot: CatalogSnapshot, now: datetime) -> CurveAnswer:
        """Draw one curve.

        Raises
        ------
        ApplicationError, EngineError
            Everything a readable request can get wrong, infeasible included.
        """
        solution = self._estimator.solve(request.estimate, snapshot, now)
        (spec, chosen), resolved = _filled(request.curve), solution.resolved
        drawn = AXES[spec.axis](solution, spec)
        wanted = {
            "curve": plain_request(spec),
            "counterfactuals": [plain_request(one) for one in request.counterfactuals],
        }
        return CurveAnswer(
            model=resolved.deployment.model_id,
            accelerator=resolved.deployment.accelerator.id,
            currency=resolved.price.currency,
            axis=spec.axis,
            axis_unit=drawn.unit,
            view=spec.view,
            request=None if drawn.shape is None else CurveShape(*drawn.shape),
            x=figures(drawn.x),
            series={name: figures(values) for name, values in drawn.series.items()},
            units=drawn.units,
            solved_points=drawn.solved_points,
            left_out=drawn.left_out,
            conservation=drawn.conservation,
            operating_point=point_of(solution),
            crossovers=crossovers(solution),
            counterfactuals=tuple(counterfactual(solution, one, snapshot) for one in request.counterfactuals),
            explanation=explain_curve(drawn, spec, resolved.price.currency),
            warnings=resolved.deployment.warnings,
            provenance=provenance_of(resolved, snapshot, now, ("A12", "P4", "P6")),
            resolved=_resolved(resolved.request, wanted, chosen),
            digest=digest_with(digest_of(resolved), wanted),
        )


def _filled(spec: CurveSpec) -> tuple[CurveSpec, tuple[str, ...]]:
    """Return a curve with its defaults, and their paths; ends left out follow from the operating point."""
    defaults: dict[str, object] = {"points": DEFAULT_POINTS}
    if spec.axis == "position":
        defaults["view"] = "by_cause"
    elif spec.view is not None:
        raise InvalidRequestError(
            f"curve.view tells who pays for reads of the cache by position; the axis {spec.axis} has no use "
            "for it. kv_view is that of rates.",
            field="curve.view",
            code="conflicting-fields",
        )
    if spec.request is not None and spec.axis not in AXES_OF_ONE_REQUEST:
        raise InvalidRequestError(
            f"curve.request is one request; the axis {spec.axis} runs over the whole workload.",
            field="curve.request",
            code="conflicting-fields",
            accepted={"axes": sorted(AXES_OF_ONE_REQUEST)},
        )
    chosen = {name: value for name, value in defaults.items() if getattr(spec, name) is None}
    filled = replace(spec, **chosen)  # type: ignore[arg-type]  # names and types of the table above
    return filled, tuple(f"curve.{name}" for name in chosen)


def _resolved(
    request: EstimateRequest, wanted: Mapping[str, object], chosen: tuple[str, ...]
) -> dict[str, object]:
    body = request_to_json_values(request)
    return {**body, **wanted, "defaulted": sorted({*body["defaulted"], *chosen})}


def explain_curve(drawn: Drawn, spec: CurveSpec, currency: str) -> tuple[str, ...]:
    """Return what a curve shows, with its numbers."""
    sentences = list(drawn.sentences)
    name = "cost" if "cost" in drawn.series else "output"
    values = drawn.series[name]
    first, last = float(values[0]), float(values[-1])
    if first > 0:
        sentences.append(
            f"From {drawn.x[0]:.4g} to {drawn.x[-1]:.4g} ({drawn.unit}) the {name} goes from {currency} "
            f"{first:.4g} to {last:.4g} {drawn.units[name]}: x {last / first:.3g}."
        )
    if spec.axis == "position" and drawn.shape is not None:
        sentences += _explain_positions(drawn)
    return tuple(sentences)


def _explain_positions(drawn: Drawn) -> list[str]:
    prompt = drawn.shape[0] if drawn.shape else 0.0
    sentences = []
    for words, part in (("input", drawn.x <= prompt), ("output", drawn.x > prompt + 1.0)):
        cost, attention = drawn.series["cost"][part], drawn.series["attention"][part]
        if cost.size > 1:
            share = float(attention.sum() / cost.sum())
            spread = float(cost.max() / np.maximum(cost.min(), 1e-300))
            sentences.append(
                f"The dearest {words} token shown costs {spread:.3g} times the cheapest; attention is "
                f"{share:.0%} of what they cost."
            )
    return sentences
