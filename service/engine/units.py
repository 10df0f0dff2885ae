"""SI factors. The only home of 1e9, 2**30 and 3600 in the package."""

from typing import Final

KILO: Final = 1e3
MEGA: Final = 1e6
GIGA: Final = 1e9
TERA: Final = 1e12
PETA: Final = 1e15

KIBI: Final = 2**10
MEBI: Final = 2**20
GIBI: Final = 2**30

MILLI: Final = 1e-3
MICRO: Final = 1e-6

SECONDS_PER_HOUR: Final = 3600.0
SECONDS_PER_DAY: Final = 86400.0
HOURS_PER_YEAR: Final = 8760.0
BITS_PER_BYTE: Final = 8
TOKENS_PER_MILLION: Final = 1e6
JOULES_PER_KILOWATT_HOUR: Final = 3.6e6
