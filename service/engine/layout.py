"""Which layouts a model allows."""

from service.engine.errors import InvalidInputError
from service.engine.types import Layout, ModelWork


def check_layout(work: ModelWork, layout: Layout) -> None:
    """Check that a layout divides what it must.

    Raises
    ------
    InvalidInputError
        With the field and the values that would be accepted.
    """
    for name in ("tp", "pp", "attention_dp", "moe_ep"):
        value = getattr(layout, name)
        if value < 1:
            raise InvalidInputError(
                f"layout.{name} is {value}; it must be at least 1.",
                field=f"layout.{name}",
                code="invalid-layout",
            )
    _check_tensor_parallel(work, layout)
    layers = sum(layer.count for layer in work.layers)
    if layout.pp > layers:
        raise InvalidInputError(
            f"layout.pp is {layout.pp}, but {work.name} has {layers} layers.",
            field="layout.pp",
            code="invalid-layout",
            accepted={"maximum": layers},
        )
    _check_expert_parallel(work, layout)


def allowed_tensor_parallel(work: ModelWork, most: int = 64) -> list[int]:
    """Return the TP sizes up to ``most`` that divide every layer's heads."""
    return [tp for tp in range(1, most + 1) if _divides(work, tp)]


def _divides(work: ModelWork, tp: int) -> bool:
    for layer in work.layers:
        if layer.query_heads and layer.query_heads % tp:
            return False
        # Fewer KV heads than ranks are replicated, which needs a whole number of copies.
        if layer.kv_heads and layer.kv_heads % tp and tp % layer.kv_heads:
            return False
    return True


def _check_tensor_parallel(work: ModelWork, layout: Layout) -> None:
    if _divides(work, layout.tp):
        return
    heads = sorted({layer.query_heads for layer in work.layers if layer.query_heads})
    accepted = allowed_tensor_parallel(work)
    raise InvalidInputError(
        f"layout.tp is {layout.tp}, which does not divide the attention heads of {work.name} "
        f"({', '.join(map(str, heads))}); accepted are {', '.join(map(str, accepted))}.",
        field="layout.tp",
        code="invalid-layout",
        accepted={"tp": accepted},
    )


def _check_expert_parallel(work: ModelWork, layout: Layout) -> None:
    experts = sorted({layer.experts for layer in work.layers if layer.experts})
    ranks = layout.stage_accelerators
    if not experts:
        if layout.moe_ep != 1:
            raise InvalidInputError(
                f"layout.moe_ep is {layout.moe_ep}, but {work.name} has no experts; leave it at 1.",
                field="layout.moe_ep",
                code="invalid-layout",
                accepted={"moe_ep": [1]},
            )
        return
    accepted = [ep for ep in range(1, ranks + 1) if ranks % ep == 0 and all(e % ep == 0 for e in experts)]
    # Redundant experts (DeepSeek's EP144 over 256) allow counts that do not divide the experts.
    if ranks % layout.moe_ep == 0:
        return
    raise InvalidInputError(
        f"layout.moe_ep is {layout.moe_ep}, which does not divide the {ranks} ranks of a stage "
        "(tp x attention_dp).",
        field="layout.moe_ep",
        code="invalid-layout",
        accepted={"moe_ep": accepted},
    )
