"""What answers that rest on an estimate share: a digest over both, and what of an estimate they lack."""

import hashlib
from typing import Final

import orjson

from service.application.errors import InvalidRequestError
from service.application.requests import EstimateRequest

ONLY_OF_ESTIMATES: Final = ("include", "uncertainty", "utilisation_range")
"""Fields that ask for parts which the answer of an estimate has and others have not."""


def refuse_parts_of_estimates(request: EstimateRequest, what: str) -> None:
    """Refuse what would be asked in vain, rather than leave it out unsaid.

    Parameters
    ----------
    request
        As the caller sent it.
    what
        Name of the answer, for the message.

    Raises
    ------
    InvalidRequestError
        Code ``conflicting-fields``.
    """
    for name in ONLY_OF_ESTIMATES:
        if getattr(request, name) is not None:
            raise InvalidRequestError(
                f"{name} asks for a part that estimates have and {what} have not; leave it out, or ask an "
                "estimate.",
                field=name,
                code="conflicting-fields",
            )


def digest_with(estimate: str, wanted: object) -> str:
    """Return the digest of an answer that rests on an estimate and on what else was asked."""
    content = orjson.dumps([estimate, wanted], default=str, option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(content).hexdigest()
