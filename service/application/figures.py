"""Rows of figures in an answer, rounded as arrays."""

import numpy as np

from service.application.render import Figures, round_figures
from service.economics.rates import Array


def figures(values: Array) -> Figures:
    """Return an array as a row of an answer."""
    return Figures(round_figures(np.asarray(values, dtype=np.float64)).tolist())
