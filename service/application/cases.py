"""Measured rows become engine inputs: names resolved in the catalog, formats and policy as served."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from service.application.errors import UnknownIdError
from service.application.formats import choose_formats
from service.application.ports import AcceleratorRecord, CatalogSnapshot
from service.application.requests import FormatsRequest
from service.calibration.measured import MeasuredRow
from service.engine.architecture import derive_work
from service.engine.errors import UnsupportedError
from service.engine.types import Calibration, EnginePolicy, Formats, ModelWork
from service.model_configs import parse_config

ConfigReader = Callable[[str], Mapping[str, Any] | None]
"""Returns the ``config.json`` of a Hugging Face name, None where there is none."""

_RECIPE_NAMES: Final[Mapping[str, str]] = {
    "fp16": "bf16", "nvfp4": "fp4", "mxfp4": "fp4", "int4_wo": "int4", "awq": "int4", "gptq": "int4",
}  # fmt: skip
"""Other names of precision recipes."""
_KEPT_FOUR_BIT: Final = frozenset({"mxfp4"})
"""Published 4-bit formats that every recipe serves as they are (gpt-oss)."""
_EXPANDED: Final[Mapping[str, str]] = {
    f"served as {name}": name for name in ("fp8", "fp8_block", "nvfp4", "mxfp4", "int8")
}
"""Weights that engines store narrow and multiply wide where the accelerator lacks their arithmetic (vLLM's
and SGLang's Marlin kernels)."""


@dataclass(frozen=True)
class Case:
    """One measured run, ready for the engine."""

    row: MeasuredRow
    model_id: str
    architecture: str
    """Models of one architecture carry one name (R1 is V3; METHOD 8)."""
    work: ModelWork
    accelerator: AcceleratorRecord
    formats: Formats
    precision: str
    policy: EnginePolicy
    calibration: Calibration


@dataclass
class CaseBuilder:
    """Resolves rows against one catalog; keeps what rows share."""

    snapshot: CatalogSnapshot
    read_config: ConfigReader = field(default=lambda _: None)
    calibration: str | None = None
    """Name of the calibration set; the default one where None."""
    _models: dict[str, tuple[str, ModelWork, Mapping[str, str]]] = field(default_factory=dict)
    _formats: dict[tuple[str | None, ...], tuple[Formats, str]] = field(default_factory=dict)

    def build(self, row: MeasuredRow) -> Case:
        """Return the case of a row.

        Raises
        ------
        ApplicationError, EngineError
            An unknown name, a configuration that cannot be read.
        """
        model_id, work, native = self._model(row.model)
        accelerator = self.snapshot.accelerator(row.accelerator)
        policy = self._policy(row)
        formats, precision = self._chosen_formats(row, (model_id, work, native), accelerator, policy)
        spec = accelerator.spec
        return Case(
            row=row,
            model_id=model_id,
            architecture=architecture_of(work),
            work=work,
            accelerator=accelerator,
            formats=formats,
            precision=precision,
            policy=policy,
            calibration=self.snapshot.calibration(self.calibration, spec.family, spec.vendor, policy.name),
        )

    def _model(self, name: str) -> tuple[str, ModelWork, Mapping[str, str]]:
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = self._find_model(name)
        return found

    def _find_model(self, name: str) -> tuple[str, ModelWork, Mapping[str, str]]:
        config = self.read_config(name)
        if config is not None:
            parsed = parse_config(config, name)
            return name, derive_work(parsed.spec), asdict(parsed.native_formats)
        try:
            record = self.snapshot.model(name)
        except UnknownIdError:
            last = _last_part(name)
            named = self._by_last_part.get(last, ())
            if len(named) != 1:
                raise
            record = self.snapshot.model(named[0])
        return record.id, record.work, record.native_formats

    @cached_property
    def _by_last_part(self) -> Mapping[str, tuple[str, ...]]:
        names: dict[str, set[str]] = {}
        for record in self.snapshot.models():
            for name in (record.id, *record.aliases):
                names.setdefault(_last_part(name), set()).add(record.id)
        return {last: tuple(sorted(ids)) for last, ids in names.items()}

    def _policy(self, row: MeasuredRow) -> EnginePolicy:
        newest = self.snapshot.engine_policy(row.engine)
        release = _numbers(row.engine_version)
        if not release:
            return newest
        try:
            return self.snapshot.engine_policy(row.engine, row.engine_version)
        except UnknownIdError as error:
            # The error names the releases that are known; the last one not after this is in force.
            older = sorted((name for name in error.near if _numbers(name) <= release), key=_numbers)
        return self.snapshot.engine_policy(row.engine, older[-1]) if older else newest

    def _chosen_formats(
        self,
        row: MeasuredRow,
        model: tuple[str, ModelWork, Mapping[str, str]],
        accelerator: AcceleratorRecord,
        policy: EnginePolicy,
    ) -> tuple[Formats, str]:
        model_id, work, native = model
        stated = (row.precision, row.gemm_format, row.expert_format)
        key = (model_id, accelerator.id, policy.name, policy.release, *stated)
        kept = self._formats.get(key)
        if kept is not None:
            return kept
        asked = _asked_formats(row, work, native)
        try:
            chosen = choose_formats(self.snapshot, asked, native, accelerator.spec, policy)
        except UnsupportedError:
            # The run was measured, so it was served: kernels expand what the accelerator cannot multiply.
            chosen = choose_formats(self.snapshot, asked, {**native, **_EXPANDED}, accelerator.spec, policy)
        kept = self._formats[key] = (chosen.formats, chosen.request.precision or "bf16")
        return kept


def architecture_of(work: ModelWork) -> str:
    """Return a name that models with the same work share: shapes, not weights, make the speed."""
    shape = (work.hidden_size, work.vocab_size, sum(layer.count for layer in work.layers))
    experts = max((layer.experts for layer in work.layers), default=0)
    return f"h{shape[0]}-v{shape[1]}-l{shape[2]}-e{experts}"


def with_calibration(case: Case, calibration: Calibration) -> Case:
    """Return a case under another calibration."""
    return replace(case, calibration=calibration)


def _asked_formats(row: MeasuredRow, work: ModelWork, native: Mapping[str, str]) -> FormatsRequest:
    """Return the formats a row was served in; the source's guesses where the checkpoint decides nothing."""
    precision = _RECIPE_NAMES.get(row.precision or "", row.precision)
    experts_native = native.get("experts", "")
    if experts_native in _KEPT_FOUR_BIT:
        return FormatsRequest(precision, native.get("weights"), experts_native, None, None)
    weights = row.gemm_format
    if precision == "fp4" and any(layer.experts for layer in work.layers):
        weights = "bf16"
    return FormatsRequest(precision, weights, row.expert_format, None, None)


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, ``(0, 5, 9)`` of ``0.5.9.post1``."""
    numbers = []
    for part in version.lstrip("v").split("."):
        digits = "".join(character for character in part if character.isdigit())
        if not part[:1].isdigit() or not digits:
            break
        leading = part[: next((i for i, c in enumerate(part) if not c.isdigit()), len(part))]
        numbers.append(int(leading))
    return tuple(numbers)
