"""Keeping a prefix: what holding its keys costs a second, and for how long that beats computing them."""

from dataclasses import dataclass

from service.engine.units import GIGA, SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Tier:
    """A place where keys can be kept."""

    name: str
    per_byte_second: float
    """Money."""
    bytes_per_second: float | None
    """Of reading them back into the accelerators' memory; None where they are there."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A prefix kept in a tier."""

    tier: str
    per_second: float
    """Money."""
    break_even_seconds: float | None
    """Holding as long costs what one hit saves; None where holding costs nothing."""
    reload_seconds: float
    """Added to the time to the first token where reading back does not overlap with work."""


def keep(tier: Tier, size_bytes: float, saved_by_hit: float) -> Kept:
    """Return what keeping a prefix costs.

    Parameters
    ----------
    tier
        Where.
    size_bytes
        Of the keys, all accelerators together.
    saved_by_hit
        Money that one later hit saves.
    """
    per_second = tier.per_byte_second * size_bytes
    return Kept(
        tier=tier.name,
        per_second=per_second,
        break_even_seconds=saved_by_hit / per_second if per_second > 0 else None,
        reload_seconds=0.0 if tier.bytes_per_second is None else size_bytes / tier.bytes_per_second,
    )


def per_byte_second(per_gigabyte_hour: float) -> float:
    """Return money per byte-second from money per GB-hour."""
    return per_gigabyte_hour / GIGA / SECONDS_PER_HOUR
