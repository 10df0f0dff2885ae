"""A condensed trace keeps what the essay asks of it."""

import numpy as np
import pytest

from essay import lengths
from essay.lengths import INPUT_GROUPS, OUTPUT_GROUPS, SOURCES, Lengths, condense, read_lengths


def _requests(count: int) -> lengths.Array:
    rng = np.random.default_rng(7)
    prompt, output = rng.lognormal(6.5, 1.0, count).round() + 1, rng.lognormal(5.0, 0.8, count).round() + 1
    return np.stack((prompt, np.zeros(count), output), axis=1)


def test_means_survive_whatever_the_count() -> None:
    requests = _requests(5_317)
    content = condense(requests, "azure-conversation-2023")
    sample = np.array(content["sample"], dtype=np.float64)
    assert sample.shape == (OUTPUT_GROUPS * INPUT_GROUPS, 2)
    np.testing.assert_allclose(sample.mean(axis=0), requests[:, [0, 2]].mean(axis=0), rtol=0.01)
    assert sum(content["output_histogram"][1]) == content["requests"] == 5_317


@pytest.mark.parametrize("name", SOURCES)
def test_shipped_files_agree_with_themselves(name: str) -> None:
    shipped = read_lengths(name)
    assert shipped.output_requests.sum() == shipped.requests
    mean = float(shipped.output @ shipped.output_requests) / shipped.requests
    assert mean == pytest.approx(shipped.mean_output, abs=1e-3)
    assert np.mean([one.output_tokens for one in shipped.sample]) == pytest.approx(mean, rel=0.01)
    assert np.mean([one.input_tokens for one in shipped.sample]) == pytest.approx(
        shipped.mean_input, rel=0.01
    )


def test_shares_by_hand() -> None:
    # Two requests of 3 and 1 output tokens: 2 decode runs, both after token 1, one after token 2.
    two = Lengths("two", "", 2, 1.0, 2.0, (), np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    assert [two.share_reaching(m) for m in (1, 2, 3, 4)] == [1.0, 0.5, 0.5, 0.0]
    assert [two.share_of_runs_joined(m) for m in (1, 2, 3)] == [1.0, 0.5, 0.0]
