"""Every claim can fail: for each there are figures, one step from today's, that make its sentence false."""

from copy import deepcopy
from typing import Any

import pytest

from essay.claims import CLAIMS, follow_word
from essay.figures import Figures

Change = tuple[str, Any]
FALSIFIED: dict[str, Change] = {
    "head_only": ("flop.llama.pairs", 1e9),
    "sides_of_the_ridge": ("serve.base.mixed.intensity", 100.0),
    "falls_with_batch": ("serve.levels.3.ratio", 50.0),
    "listed_is_not_modelled": ("market.llama.ratio", 4.0),
    "every_rule": ("serve.splits.least_of_all", 0.9),
    "low_end": ("serve.sure.ratio.p10", 0.9),
    "small_head": ("flop.llama8.head_share", 0.001),
    "latent": ("flop.pair_decode", 640),
    "time_follows": ("serve.base.mixed.shares.memory", 0.9),
    "never_across": ("serve.decode_steps.9.intensity", 900.0),
    "envelope": ("flop.envelope.ratio", 99.0),
    "experts": ("serve.deepseek.ratio", 1.5),
    "input_flat": ("serve.input_move", 0.4),
    "floor": ("serve.largest_ratio", 0.9),
    "thousand_are_cheap": ("flop.next_token.attention_over_linear", 0.5),
    "cache_pays": ("serve.no_cache", 1.5),
    "cached_is_cheap": ("serve.splits.cached_by_cause", 0.9),
    "ten_thousandth": ("place.input_10001_over_11", 3.0),
    "hundred_thousandth": ("place.input_100001_over_11", 1.1),
    "late_output": ("place.output_10001_over_11", 1.0),
    "two_accounts": ("place.integral_error", 0.01),
    "by_cause_lower": ("serve.splits.by_cause", 99.0),
    "late_is_rare": ("place.azure.join.500", 0.4),
    "power_is_small": ("serve.power.share_50", 0.5),
    "mix": ("serve.mix.at_10.ratio", 12.0),
    "linear_fits_chat": ("market.azure.moved", 0.2),
    "linear_strains": ("market.mooncake.moved", 0.001),
    "long_output": ("market.azure.surcharge_here", 0.0),
    "listed_below": ("market.above_modelled", 30),
    "listed_unrelated": ("market.across.correlation", 0.9),
    "whole": ("market.whole_share", 0.02),
    "input_subsidises": ("market.llama.margin.output", 0.99),
    "verdict_physics": ("serve.decode_steps.0.compute", 0.99),
    "verdict_choice": ("serve.lone_ratio", 3.0),
    "verdict_marketing": ("market.across.correlation", 0.9),
}


def _changed(tree: dict[str, Any], change: Change) -> dict[str, Any]:
    path, value = change
    copy = deepcopy(tree)
    *way, last = path.split(".")
    place: Any = copy
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    key = int(last) if last.isdigit() and not isinstance(place, list) else last
    assert key in place, f"there is no figure {path}"
    place[key] = value
    return copy


def test_every_claim_has_a_figure_that_would_refute_it() -> None:
    assert set(FALSIFIED) == set(CLAIMS)


@pytest.mark.parametrize("name", FALSIFIED)
def test_a_claim_holds_today_and_fails_for_other_figures(name: str, figures: Figures) -> None:
    assert CLAIMS[name](figures.tree), "the sentence is false: rewrite it in essay/template.md"
    assert not CLAIMS[name](_changed(figures.tree, FALSIFIED[name]))


@pytest.mark.parametrize(
    ("correlation", "words"),
    [(-0.4, "do not"), (0.05, "do not"), (0.2, "hardly"), (0.4, "loosely"), (0.8, "go together")],
)
def test_words_for_correlation(correlation: float, words: str) -> None:
    assert words in follow_word(correlation)
