"""Sizes, waits and widths of the HTTP surface (CONTRACT 7)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """What the HTTP surface admits; tests shrink it."""

    body_bytes: int = 2**20
    """Largest JSON body, and largest line of a batch."""
    trace_bytes: int = 2**25
    """Largest body that carries a trace, and largest such line of a batch."""
    batch_bytes: int = 2**29
    """Largest body of a batch."""
    import_bytes: int = 2**25
    """Largest body of an import."""
    spool_bytes: int = 2**20
    """Bytes of a batch kept in memory; what is beyond lies on disk."""
    body_idle_seconds: float = 60.0
    """Longest pause of a client that is still sending."""
    inline_body_bytes: int = 16_384
    """Bodies up to this size are computed on the event loop (well under 5 ms), larger ones in the pool."""
    pool_workers: int = 2
    """Threads for large bodies and long lists."""
    pool_waiting: int = 32
    """Large requests that may wait for a thread; one more is 503."""
    batches: int = 2
    """Batches computed at the same time."""
    batches_waiting: int = 16
    """Batches that may wait for their turn; one more is 503."""
    slice_seconds: float = 0.002
    """Longest stretch that a batch computes before it lets other requests in."""
    page_rows: int = 1000
    """Most rows of one page of a list."""
