"""Speculative decoding: several positions of a sequence in one step (METHOD 2; equations V1 to V3).

A step drafts k tokens and verifies them with the sure one: 1 + k query tokens for each sequence over one
read of its cache. It yields a tokens on average. With each draft accepted with probability p while all
before it were (Leviathan, Kalman and Matias, arXiv 2211.17192, equation 1),

    a = (1 - p^(k + 1)) / (1 - p).                                                                  (V1)

In the engine's counters a decoding sequence then stands for 1 + k tokens, k of them beside the one that
is counted already, so the columns of tokens are added k times to that of sequences (V2). A draft of
multi-token prediction runs one further layer and the head for each drafted token (V3): (1 + k) + k / L
times the linear work of a token in L layers, and (1 + k) + k times the head's. Experts of the further
layer are taken to see as many tokens as those of the others.
"""

from dataclasses import replace
from typing import Final

from service.engine.errors import InvalidInputError
from service.engine.load import Load, make_load
from service.engine.tables import (
    ATTENTION_DECODE,
    COLLECTIVES,
    DECODE,
    FEED_FORWARD,
    GROUP_TOKENS,
    HEAD,
    HOST,
    PROJECTIONS,
    RANK_TOKENS,
    SAMPLED,
    STEP,
    ReplicaTable,
)
from service.engine.types import Speculation
from service.engine.workload import Moments

DEFAULT_ACCEPTANCE: Final = 0.75
"""Chance that a drafted token is accepted. DeepSeek-V3 (arXiv 2412.19437, section 5.4.3) reports 85 to
90 % for the first; later drafts of the same layer are worse."""
ACCEPTANCE_SPREAD: Final = 0.1
"""How far acceptance differs between texts and models. Assumed."""
DEFAULT_DRAFT_TOKENS: Final = 3


def serve(table: ReplicaTable, moments: Moments) -> Load:
    """Join a replica and a mix as :func:`load.make_load`, with the speculation that the replica runs."""
    load = make_load(table, moments)
    if table.speculation.draft_tokens == 0:
        return load
    return speculate(load, table, table.layers, table.speculation)


def speculate(load: Load, table: ReplicaTable, layers: int, speculation: Speculation) -> Load:
    """Return the load of a deployment that speculates; its ``mean_steps`` counts engine steps, not tokens.

    Raises
    ------
    InvalidInputError
        A negative number of drafts, or an acceptance outside [0, 1].
    """
    if speculation.draft_tokens < 0 or not 0 <= speculation.acceptance <= 1:
        raise InvalidInputError(
            f"Speculation with {speculation.draft_tokens} drafts accepted with probability "
            f"{speculation.acceptance} is impossible; drafts are at least 0, the probability is 0 to 1.",
            field="serving.speculation",
        )
    drafts = float(speculation.draft_tokens)
    coefficients = load.coefficients
    ranks = table.layout.attention_dp
    matrices = []
    for matrix in (coefficients.work, coefficients.seconds):
        grown = matrix.copy()
        # What a decoding sequence's one token takes, and its share of the draft layer that follows it.
        token = matrix[:, :, [RANK_TOKENS, DECODE]].sum(axis=2)
        token[:, COLLECTIVES] += ranks * matrix[:, COLLECTIVES, GROUP_TOKENS]
        grown[:, :, DECODE] += drafts * (matrix[:, :, RANK_TOKENS] + matrix[:, :, SAMPLED])
        grown[:, COLLECTIVES, DECODE] += drafts * ranks * matrix[:, COLLECTIVES, GROUP_TOKENS]
        # Pairs multiply with the queries, reads of the cache do not.
        grown[0, ATTENTION_DECODE, DECODE] *= 1.0 + drafts
        for operator in (PROJECTIONS, FEED_FORWARD, ATTENTION_DECODE, COLLECTIVES, HOST):
            grown[:, operator, DECODE] += drafts / layers * token[:, operator]
            grown[:, operator, STEP] *= 1.0 + drafts / layers
        grown[:, HEAD, DECODE] += drafts * matrix[:, HEAD, SAMPLED]
        grown[:, HEAD, STEP] *= 1.0 + drafts
        matrices.append(grown)
    experts = coefficients.experts
    if experts is not None:
        deeper = 1.0 + drafts / layers
        experts = replace(
            experts,
            weight_bytes=experts.weight_bytes * deeper,
            flop_per_token=experts.flop_per_token * deeper,
        )
    return replace(
        load,
        coefficients=replace(
            coefficients,
            work=matrices[0],
            seconds=matrices[1],
            experts=experts,
            drafts_per_decode=drafts * ranks,
        ),
        mean_steps=load.mean_steps / speculation.tokens_per_step,
        tokens_per_step=speculation.tokens_per_step,
    )
