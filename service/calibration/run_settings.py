"""How benchmark runs set their engines beyond the engines' own defaults, by engine and accelerator.

InferenceX publishes the commands it serves with (SemiAnalysisAI/InferenceX on GitHub, folder
``benchmarks``; read at commits 1fc5d73 and 73ef922). What matters here of them: how often the scheduler
looks for new requests, how long it holds prompts back to prefill several together, and the token budget.
Runs of another protocol get the engine's defaults.
"""

from dataclasses import dataclass
from typing import Final

from service.calibration.measured import MeasuredRow
from service.engine.types import EnginePolicy

MANY_REQUESTS: Final = 16
"""Requests in flight from which SGLang is told to look for new ones less often."""
DEFAULT_HOLD: Final = (0, 0.0)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run's server was told."""

    poll_steps: int = 1
    """Steps between two looks at the queue (SGLang's ``scheduler-recv-interval``)."""
    hold_steps: int = 0
    """Steps that a prompt may be held back for company (TensorRT-LLM's ``batch_wait_timeout_iters``)."""
    hold_budget_share: float = 0.0
    """Share of the token budget that waiting prompts must fill to go at once."""
    token_budget: float | None = None
    """None is the engine's own."""
    aligns_prefill: bool = False
    """Attention-DP ranks prefill together (``attention_dp_config.enable_balance``)."""


PLAIN_SETTINGS: Final = RunSettings()


def run_settings(row: MeasuredRow, policy: EnginePolicy, family: str, *, dense: bool) -> RunSettings:
    """Return how a run was served.

    Parameters
    ----------
    row
        The run.
    policy
        Of its engine; the name decides.
    family
        Of its accelerator.
    dense
        True for a model without routed experts.
    """
    if row.protocol != "inferencex":
        return PLAIN_SETTINGS
    if policy.name == "sglang":
        return _sglang(row, family)
    if policy.name == "trtllm":
        return _trtllm(row, dense=dense)
    return PLAIN_SETTINGS


def _sglang(row: MeasuredRow, family: str) -> RunSettings:
    """``dsr1_fp8_b200.sh``, ``dsr1_fp4_b200.sh``, ``dsr1_fp8_h200.sh``, ``dsr1_fp8_mi355x.sh``."""
    if family.startswith("cdna"):
        return RunSettings(poll_steps=4, token_budget=196_608.0)
    budget = 16_384.0 if row.precision in ("fp4", "nvfp4", "mxfp4") else 32_768.0
    if family != "blackwell":
        return RunSettings(token_budget=budget)
    return RunSettings(poll_steps=30 if row.concurrency >= MANY_REQUESTS else 10, token_budget=budget)


def _trtllm(row: MeasuredRow, *, dense: bool) -> RunSettings:
    """``70b_fp8_h200_trt_slurm.sh`` and ``dsr1_fp4_b200_trt.sh``."""
    layout = row.layout
    if layout is not None and layout.attention_dp > 1:
        return RunSettings(poll_steps=60, aligns_prefill=True)
    short = row.input_tokens <= 1024 and row.output_tokens <= 1024
    if dense and short and layout is not None and layout.tp < 8:
        return RunSettings(hold_steps=20, hold_budget_share=0.9)
    return PLAIN_SETTINGS
