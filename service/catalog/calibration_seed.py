"""A calibration set as a seed file and what it says for one family and engine.

A set is a list of entries from the general to the particular. What applies is the general entry,
overlaid by those of the vendor, of the engine, of the family, and of the family with the engine; each
states only what it knows better. A set must have a general entry, and that one must state everything.
"""

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from service.application.ports import MeasuredPoint
from service.catalog.seed_schema import Name, SeedModel, Slug
from service.engine.types import Calibration, Efficiency, OperatorClass

_OPERATORS: Final[tuple[str, ...]] = get_args(OperatorClass)
_Share = Annotated[float, Field(gt=0, le=1)]
_Seconds = Annotated[float, Field(ge=0, le=10)]
_FIGURES: Final = (
    "launch_seconds_per_layer",
    "host_seconds_per_step",
    "host_seconds_per_sequence",
    "collective_latency_seconds",
    "scale_up_efficiency",
    "scale_out_efficiency",
    "expert_imbalance",
)


class EfficiencySeed(SeedModel):
    """One operator class; fields as ``engine.types.Efficiency``."""

    compute: _Share
    memory: _Share
    half_rate_tokens: Annotated[float, Field(ge=0)] = 0.0
    log_spread: Annotated[float, Field(ge=0)] = 0.0


class CalibrationEntry(SeedModel):
    """What is known of one scope; fields as ``engine.types.Calibration``, absent where not known better.

    The scope is ``family`` with ``engine``, ``family``, ``engine``, ``vendor``, or nothing (general).
    """

    family: Slug | None = None
    vendor: Slug | None = None
    engine: Slug | None = None
    basis: Literal["fitted", "published", "assumed"] = "assumed"
    """``fitted`` where the figures come from measurements of this scope, ``published`` where they follow
    from published microbenchmarks of it."""
    operators: dict[OperatorClass, EfficiencySeed] = Field(default_factory=dict)
    formats: dict[Slug, dict[OperatorClass, EfficiencySeed]] = Field(default_factory=dict)
    """Operators whose weights are stored in a format, where that is known apart."""
    launch_seconds_per_layer: _Seconds | None = None
    host_seconds_per_step: _Seconds | None = None
    host_seconds_per_sequence: _Seconds | None = None
    collective_latency_seconds: _Seconds | None = None
    scale_up_efficiency: _Share | None = None
    scale_out_efficiency: _Share | None = None
    expert_imbalance: Annotated[float, Field(ge=1)] | None = None
    extra: dict[str, float] = Field(default_factory=dict)
    source: Slug
    note: str = ""

    @property
    def scope(self) -> tuple[str | None, str | None, str | None]:
        """Family, vendor and engine."""
        return self.family, self.vendor, self.engine

    def efficiencies(self) -> dict[str, Efficiency]:
        """Return what this entry says of operators, by ``class`` or ``class@format``."""
        named: dict[str, EfficiencySeed] = dict(self.operators.items())
        for stored, operators in self.formats.items():
            named |= {f"{name}@{stored}": seed for name, seed in operators.items()}
        return {
            name: Efficiency(seed.compute, seed.memory, seed.half_rate_tokens, seed.log_spread)
            for name, seed in named.items()
        }

    @model_validator(mode="after")
    def _scope_is_one_of_five(self) -> Self:
        if self.family is not None and self.vendor is not None:
            raise ValueError("an entry is for a family or for a vendor, not for both")
        if self.engine is not None and self.vendor is not None:
            raise ValueError("an entry for an engine may name a family, not a vendor")
        return self


class MeasuredPointSeed(SeedModel):
    """One measured run behind a set; fields as ``application.ports.MeasuredPoint``."""

    model: Slug
    accelerator: Slug
    family: Slug
    engine: Slug
    weight_format: Slug
    input_tokens: Annotated[float, Field(ge=1)]
    output_tokens: Annotated[float, Field(ge=1)]
    concurrency: Annotated[float, Field(ge=1)]
    accelerators: Annotated[int, Field(ge=1)]
    measured_tpot_seconds: Annotated[float, Field(gt=0)]
    predicted_tpot_seconds: Annotated[float, Field(gt=0)]
    measured_ttft_seconds: Annotated[float, Field(gt=0)] | None = None
    predicted_ttft_seconds: Annotated[float, Field(gt=0)] | None = None


class CalibrationSeed(SeedModel):
    """``calibration/*.yaml``: one named set."""

    name: Slug
    default: bool = False
    """True for the set in force where a request names none; exactly one set is."""
    data_digest: str | None = None
    """SHA-256 of the measurements it was fitted to."""
    entries: Annotated[tuple[CalibrationEntry, ...], Field(min_length=1)]
    points: tuple[MeasuredPointSeed, ...] = ()
    """Some of the measured runs, as evidence beside estimates."""
    source: Slug
    note: Name | None = None

    @model_validator(mode="after")
    def _general_entry_states_everything(self) -> Self:
        scopes = [entry.scope for entry in self.entries]
        if len(set(scopes)) != len(scopes):
            raise ValueError("two entries have the same family, vendor and engine")
        general = next((entry for entry in self.entries if entry.scope == (None, None, None)), None)
        if general is None:
            raise ValueError("a general entry (no family, vendor, engine) must exist")
        missing = [name for name in _FIGURES if getattr(general, name) is None]
        missing += [f"operators.{name}" for name in _OPERATORS if name not in general.operators]
        if missing:
            raise ValueError(f"the general entry lacks {', '.join(missing)}")
        return self

    def measured_points(self) -> tuple[MeasuredPoint, ...]:
        """Return the measured runs as records."""
        return tuple(MeasuredPoint(**dict(point)) for point in self.points)

    def calibration(self, family: str, vendor: str, engine: str) -> Calibration:
        """Return what the set says for a family and engine, from the most particular scope down."""
        by_scope = {entry.scope: entry for entry in self.entries}
        scopes = [
            ("general", (None, None, None)),
            ("vendor", (None, vendor, None)),
            ("engine", (None, None, engine)),
            ("family", (family, None, None)),
            ("family", (family, None, engine)),
        ]
        found = [(level, by_scope[scope]) for level, scope in scopes if scope in by_scope]
        level, nearest = found[-1]
        figures: dict[str, float] = {}
        operators: dict[str, Efficiency] = {}
        extra: dict[str, float] = {}
        for _, entry in found:
            figures |= {name: value for name in _FIGURES if (value := getattr(entry, name)) is not None}
            # What a narrower scope says of an operator holds for its formats too, unless it tells them apart.
            operators = {
                name: eta for name, eta in operators.items() if name.split("@")[0] not in entry.operators
            }
            operators |= entry.efficiencies()
            extra |= entry.extra
        own = nearest.basis == "fitted" and nearest.scope == (family, None, engine)
        return Calibration(
            name=self.name,
            level="fitted" if own else "published" if nearest.basis == "published" else level,
            operators=operators,
            extra=extra,
            **figures,
        )
