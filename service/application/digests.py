"""What answers that rest on an estimate share: a digest over both."""

import hashlib

import orjson


def digest_with(estimate: str, wanted: object) -> str:
    """Return the digest of an answer that rests on an estimate and on what else was asked."""
    content = orjson.dumps([estimate, wanted], default=str, option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(content).hexdigest()
