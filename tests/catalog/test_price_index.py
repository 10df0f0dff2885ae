"""The index of prices: a later state made from an earlier one is the one made from all rows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.application.ports import GpuPriceRecord
from service.catalog.price_index import GPU_PRICES, PriceIndex
from tests.builders.catalog import make_gpu_price

ACCELERATORS = ("a100-sxm", "h100-sxm", "l4")
PROVIDERS = ("acme", "budget", "zeta")
ROWS = st.lists(st.tuples(st.sampled_from(ACCELERATORS), st.sampled_from(PROVIDERS)), max_size=12)


def rows_of(places: list[tuple[str, str]], first: int, revision: int) -> dict[int, GpuPriceRecord]:
    return {
        number: replace(make_gpu_price(number, provider=provider, revision_from=revision), accelerator=where)
        for number, (where, provider) in enumerate(places, start=first)
    }


@given(earlier=ROWS, later=ROWS, closed=st.sets(st.integers(1, 12)))
def test_a_later_state_is_as_if_made_from_all_rows(
    earlier: list[tuple[str, str]], later: list[tuple[str, str]], closed: set[int]
) -> None:
    first = rows_of(earlier, 1, 1)
    second = first | rows_of(later, len(first) + 1, 2)
    for number in closed & set(first):
        second[number] = replace(first[number], stamp=replace(first[number].stamp, revision_to=2))
    grown = PriceIndex(second, GPU_PRICES, PriceIndex(first, GPU_PRICES))
    wanted = sorted(second.values(), key=GPU_PRICES.order)
    assert list(grown) == wanted
    for accelerator in ACCELERATORS:
        assert list(grown.of(accelerator)) == [row for row in wanted if row.accelerator == accelerator]


def test_the_earlier_state_stays_as_it_was() -> None:
    first = rows_of([("h100-sxm", "acme")], 1, 1)
    before = PriceIndex(first, GPU_PRICES)
    PriceIndex(first | rows_of([("h100-sxm", "budget")], 2, 2), GPU_PRICES, before)
    assert list(before) == list(first.values())


def test_groups_without_other_rows_are_taken_over() -> None:
    first = rows_of([("h100-sxm", "acme"), ("l4", "acme")], 1, 1)
    before = PriceIndex(first, GPU_PRICES)
    after = PriceIndex(first | rows_of([("l4", "budget")], 3, 2), GPU_PRICES, before)
    assert after.of("h100-sxm") is before.of("h100-sxm")
    assert len(after.of("l4")) == 2
