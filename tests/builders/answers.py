"""A whole estimate answer with round, made-up figures, for tests that render or print one."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from service.application.answers import (
    Bound,
    Conservation,
    EstimateAnswer,
    Latency,
    ListPriceComparison,
    Memory,
    Offer,
    OperatingPoint,
    OperatorTime,
    Provenance,
    Rate,
    RowUsed,
    Throughput,
    TokenKind,
)
from service.application.energy_answers import EnergyUse
from service.application.evidence_answers import Evidence
from service.application.requests import (
    EstimateRequest,
    LayoutRequest,
    OperatingPointRequest,
    PriceRequest,
    WorkloadClass,
)

RESOURCES = {"compute": 0.25, "memory": 0.5, "network": 0.125, "overhead": 0.125}
COMPONENTS = {"attention": 0.25, "projections": 0.25, "feed_forward": 0.5}
WHEN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def make_rate(
    kind: TokenKind = "output", per_million_tokens: float = 1.5, class_name: str | None = None
) -> Rate:
    return Rate(
        kind=kind,
        class_name=class_name,
        per_million_tokens=per_million_tokens,
        currency="USD",
        tokens_per_request=1000.0,
        cost_per_request=per_million_tokens / 1000,
        accelerator_seconds_per_million_tokens=2000.0,
        share_by_resource=RESOURCES,
        share_by_component=COMPONENTS,
    )


def make_list_price(provider: str = "acme", relation: str = "same") -> ListPriceComparison:
    offer = Offer(
        provider=provider,
        provider_model_id="acme/llama-3.1-70b",
        relation=relation,
        routed_from=None,
        currency="USD",
        input_per_million=Decimal("0.60"),
        cached_input_per_million=None,
        cache_write_per_million=None,
        output_per_million=Decimal("1.80"),
        output_to_input_ratio=3.0,
        valid_from=WHEN,
        valid_from_basis="observed",
        rows=(7, 8),
        source="genai-prices",
    )
    return ListPriceComparison(
        offer=offer,
        price_per_request=Decimal("0.00240"),
        margin=0.25,
        margin_by_kind={"uncached_input": 0.5, "cached_input": None, "output": 1 / 6},
        breakeven_utilisation=0.45,
        rank=1,
    )


def make_request() -> EstimateRequest:
    return EstimateRequest(
        model="llama-3.1-70b",
        accelerator="h100-sxm",
        layout=LayoutRequest(tp=8, pp=1, attention_dp=1, moe_ep=1),
        workload=(
            WorkloadClass(name="chat", weight=1 / 3, input_tokens=1000, output_tokens=1000, cached_share=0.5),
        ),
        operating_point=OperatingPointRequest(kind="concurrency", concurrency=64.0),
        utilisation=0.6,
        price=PriceRequest(basis="rental", amount=Decimal("2.00"), currency="USD"),
        split="shapley",
        as_of=WHEN,
        known_at=12,
        defaulted=("layout", "utilisation"),
    )


def make_answer(**changes: object) -> EstimateAnswer:
    answer = EstimateAnswer(
        model="llama-3.1-70b",
        accelerator="h100-sxm",
        accelerators_per_replica=8,
        rates=(
            make_rate("uncached_input", 0.5),
            make_rate("cached_input", 0.125),
            make_rate("output", 1.5),
        ),
        rates_by_class=(
            make_rate("uncached_input", 0.5, "chat"),
            make_rate("cached_input", 0.125, "chat"),
            make_rate("output", 1.5, "chat"),
        ),
        cost_per_request=0.0018125,
        cost_per_accelerator_hour=Decimal("2.00"),
        currency="USD",
        output_to_input_ratio=3.0,
        split="shapley",
        phase_increments={},
        conservation=Conservation(
            bill_per_request=0.0018125, sum_per_request=0.0018125, relative_difference=0.0, currency="USD"
        ),
        operating_point=OperatingPoint(
            kind="concurrency",
            batch=60.0,
            concurrency=64.0,
            requests_per_second=4.0,
            replicas=1,
            utilisation=0.6,
            limited_by="concurrency",
            prefill_step_share=0.05,
            chunk_tokens=500.0,
        ),
        ttft_seconds=0.25,
        tpot_seconds=0.015,
        latency=Latency(
            ttft_seconds=0.25,
            ttft_waiting_seconds=0.05,
            ttft_prefill_seconds=0.2,
            ttft_p99_seconds=0.6,
            tpot_seconds=0.015,
            inter_token_mixed_step_seconds=0.06,
            decode_step_seconds=0.0125,
            end_to_end_seconds=15.235,
            interactivity_tokens_per_second=1 / 0.015,
        ),
        throughput=Throughput(
            input_tokens_per_second=4000.0,
            cached_input_tokens_per_second=2000.0,
            output_tokens_per_second=4000.0,
            output_tokens_per_second_per_accelerator=500.0,
            total_tokens_per_second_per_accelerator=1000.0,
        ),
        energy=EnergyUse(
            joules_per_token={"uncached_input": 0.25, "cached_input": 0.0625, "output": 1.0},
            facility_joules_per_token={"uncached_input": 0.5, "cached_input": 0.125, "output": 2.0},
            joules_per_request={
                "working": 1156.25,
                "waiting": 250.0,
                "host": 300.0,
                "network": 72.5,
                "cooling": 533.75,
                "total": 2312.5,
            },
            sum_per_request=1156.25,
            working_watts=450.0,
            waiting_watts=80.0,
            host_watts=250.0,
            network_watts=60.0,
            power_usage_effectiveness=1.3,
            log_spread=0.2,
        ),
        bounds=(
            Bound("decode", "memory", 0.0125, RESOURCES, 0.05, 0.5, 1e12, 2e10, 50.0, 295.0),
            Bound("mixed", "compute", 0.06, RESOURCES, 0.4, 0.1, 1e13, 2e10, 500.0, 295.0),
        ),
        mfu=0.125,
        mbu=0.45,
        memory=Memory(
            capacity_bytes=80e9,
            usable_bytes=72e9,
            weights_bytes=9e9,
            activations_bytes=1e9,
            cache_bytes_per_sequence=2e7,
            cache_bytes=62e9,
            max_batch=3100.0,
        ),
        operators=(
            OperatorTime("gemm", "projections", 0.004, 0.03, "memory"),
            OperatorTime("attention_decode", "attention", 0.002, 0.002, "memory"),
        ),
        list_prices=(make_list_price("acme"), make_list_price("zenith", "quantised")),
        explanation=("Output costs 3x input because decode waits for memory.",),
        warnings=(),
        evidence=Evidence("default", "family", extrapolates=True, nearest=()),
        provenance=Provenance(
            engine_version="0.1.0",
            catalog_revision=12,
            catalog_digest="0" * 64,
            catalog_age_seconds=3.0,
            calibration="default",
            calibration_level="family",
            rows=(RowUsed("gpu_price", "acme/h100-sxm", 5, 1, WHEN, None, "observed", "skypilot", "2.00"),),
            equations=("2.1", "5.1"),
        ),
        resolved=make_request(),
        digest="f" * 64,
    )
    return replace(answer, **changes)  # type: ignore[arg-type]
