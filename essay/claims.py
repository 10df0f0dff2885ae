"""What the essay's sentences claim beyond their numbers, as checks. One that fails is to be rewritten."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

Tree = Mapping[str, Any]
LISTED_RANGE: Final = (3.0, 5.0)


def follow_word(correlation: float) -> str:
    """Return how two rankings go together, in words (Cohen's bounds of small, medium and large)."""
    if correlation < 0.1:
        return "do not go together"
    if correlation < 0.3:
        return "hardly go together"
    return "go together loosely" if correlation < 0.5 else "go together"


def _head_only(f: Tree) -> bool:
    llama = f["flop"]["llama"]
    return bool(
        llama["pairs"] == llama["linear_difference"] == 0.0
        and abs(llama["more_share"] - llama["head_share"]) < 1e-9
        and llama["more_share"] < 0.03
    )


def _sides(f: Tree) -> bool:
    base = f["serve"]["base"]
    return bool(base["decode"]["intensity"] < base["decode"]["ridge"] < base["mixed"]["intensity"])


def _falls(f: Tree) -> bool:
    serve = f["serve"]
    ratios = [level["ratio"] for level in serve["levels"]]
    ordered = all(first > second for first, second in pairwise(ratios))
    return bool(ordered and serve["lone_ratio"] > serve["base"]["ratio"] > serve["full"]["ratio"] > 1.0)


def _listed_differs(f: Tree) -> bool:
    """Hold where listed ratios are below the modelled ones, for this model and over all."""
    market = f["market"]
    return bool(
        market["llama"]["ratio"] < 0.7 * f["serve"]["full"]["ratio"]
        and market["across"]["listed"] < 0.8 * market["across"]["modelled"]
        and market["whole_share"] > 1 / 3
    )


def _time_follows(f: Tree) -> bool:
    mixed, decode = f["serve"]["base"]["mixed"]["shares"], f["serve"]["base"]["decode"]["shares"]
    return bool(mixed["compute"] > mixed["memory"] and decode["memory"] > 10 * decode["compute"])


def _never_across(f: Tree) -> bool:
    rows = f["serve"]["decode_steps"]
    return bool(
        f["flop"]["cache_intensity"] < 0.1 * f["serve"]["base"]["decode"]["ridge"]
        and all(row["intensity"] < row["ridge"] for row in rows)
        and f["serve"]["compute_bound_batch"] > f["serve"]["base"]["batch"]
    )


def _experts(f: Tree) -> bool:
    deepseek, llama = f["serve"]["deepseek"], f["serve"]["base"]
    return bool(
        deepseek["decode"]["intensity"] < llama["decode"]["intensity"]
        and deepseek["ratio"] > llama["ratio"]
        and deepseek["decode"]["bytes"] > 0.5 * deepseek["weights_bytes"]
    )


def _late_is_rare(f: Tree) -> bool:
    join, reach = f["place"]["azure"]["join"], f["place"]["azure"]["reach"]
    return bool(join[10] > 0.9 and join[500] < 0.05 and reach[500] < 0.1 and join[10] > join[100] > join[250])


def _power(f: Tree) -> bool:
    power = f["serve"]["power"]
    return bool(
        power["share_10"] < power["share_50"] < 0.1
        and abs(power["rental_10_over_50"] - 5.0) < 1e-6
        and power["energy_10_over_50"] < 5.0
    )


def _mix(f: Tree) -> bool:
    three, ten = f["serve"]["mix"]["at_3"], f["serve"]["mix"]["at_10"]
    moves = abs(ten["ratio"] / three["ratio"] - 1.0)
    return bool(
        moves < 0.25 and ten["input_share"] > 1.4 * three["input_share"] and ten["blended"] < three["blended"]
    )


def _verdict_physics(f: Tree) -> bool:
    return bool(
        _head_only(f)
        and all(row["memory"] > row["compute"] for row in f["serve"]["decode_steps"])
        and f["serve"]["splits"]["least_of_all"] > 1.0
        and f["serve"]["largest_ratio"] > 1.0
    )


def _verdict_choice(f: Tree) -> bool:
    serve = f["serve"]
    return bool(
        serve["lone_ratio"] > 10 * serve["largest_ratio"]
        and serve["splits"]["by_cause"] < 0.9 * serve["base"]["ratio"]
    )


def _verdict_marketing(f: Tree) -> bool:
    """Hold where 3 to 5 meets what the batch spans, and listed ratios do not follow the model."""
    serve, market = f["serve"], f["market"]
    return bool(
        serve["largest_ratio"] < LISTED_RANGE[1]
        and serve["base"]["ratio"] > LISTED_RANGE[0]
        and market["across"]["correlation"] < 0.5
        and market["whole_share"] > 1 / 3
    )


CLAIMS: Final[Mapping[str, Callable[[Tree], bool]]] = {
    "head_only": _head_only,
    "sides_of_the_ridge": _sides,
    "falls_with_batch": _falls,
    "listed_is_not_modelled": _listed_differs,
    "every_rule": lambda f: f["serve"]["splits"]["least_of_all"] > 1.0,
    "low_end": lambda f: f["serve"]["sure"]["ratio"]["p10"] > 1.2,
    "small_head": lambda f: f["flop"]["llama8"]["head_share"] > f["flop"]["llama"]["head_share"],
    "latent": lambda f: (
        f["flop"]["pair_decode"] > f["flop"]["pair_prefill"] and f["flop"]["deepseek"]["pairs_share"] > 0
    ),
    "time_follows": _time_follows,
    "never_across": _never_across,
    "envelope": lambda f: 0.5 < f["flop"]["envelope"]["ratio"] / f["serve"]["base"]["ratio"] < 2.0,
    "experts": _experts,
    "input_flat": lambda f: f["serve"]["input_move"] < 0.15,
    "floor": lambda f: f["serve"]["largest_ratio"] > 1.2,
    "thousand_are_cheap": lambda f: f["flop"]["next_token"]["attention_over_linear"] < 0.05,
    "cache_pays": lambda f: f["serve"]["no_cache"] > 50 and f["flop"]["no_cache_over_cache"] > 50,
    "cached_is_cheap": lambda f: (
        f["serve"]["splits"]["cached_by_pass"] < f["serve"]["splits"]["cached_by_cause"] < 0.6
    ),
    "ten_thousandth": lambda f: 1.0 < f["place"]["input_10001_over_11"] < 2.0,
    "hundred_thousandth": lambda f: f["place"]["input_100001_over_11"] > 1.5,
    "late_output": lambda f: f["place"]["output_10001_over_11"] > 1.1,
    "two_accounts": lambda f: (
        f["place"]["output_10001_over_11"] > 1.0
        and f["place"]["output_by_cause_11_over_10001"] > 1.0
        and f["place"]["integral_error"] < 1e-9
    ),
    "by_cause_lower": lambda f: f["serve"]["splits"]["by_cause"] < f["serve"]["base"]["ratio"],
    "late_is_rare": _late_is_rare,
    "power_is_small": _power,
    "mix": _mix,
    "linear_fits_chat": lambda f: (
        f["market"]["azure"]["moved"] < 0.03 and f["market"]["azure"]["widest"] < 0.15
    ),
    "linear_strains": lambda f: (
        f["market"]["mooncake"]["moved"] > 3 * f["market"]["azure"]["moved"] and f["market"]["banded"] > 0
    ),
    "long_output": lambda f: f["market"]["azure"]["surcharge_here"] > 0.2,
    "listed_below": lambda f: (
        f["market"]["across"]["listed"] < f["market"]["across"]["modelled"]
        and f["market"]["above_modelled"] < f["market"]["across"]["compared"] / 3
    ),
    "listed_unrelated": lambda f: (
        f["market"]["follow_word"] == follow_word(f["market"]["across"]["correlation"])
    ),
    "whole": lambda f: f["market"]["whole_share"] > 1 / 3,
    "input_subsidises": lambda f: (
        f["market"]["llama"]["margin"]["uncached_input"] > f["market"]["llama"]["margin"]["output"]
    ),
    "verdict_physics": _verdict_physics,
    "verdict_choice": _verdict_choice,
    "verdict_marketing": _verdict_marketing,
}
"""By mark. Each is false for some figures; together they say what the essay says."""
