"""Every knob, with its unit and default; read from ``PERTOKEN_*`` by ``bootstrap``, never at import."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.engine.units import SECONDS_PER_HOUR

Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(ge=1024)]


class Settings(BaseSettings):
    """Settings of one process; every field is an environment variable ``PERTOKEN_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="PERTOKEN_", extra="ignore", frozen=True)

    database_url: str = "sqlite:///pertoken.db"
    """Where the catalog lives: ``sqlite:///FILE`` or ``postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME``.

    A relative SQLite file is looked for in the working directory."""
    poll_interval_seconds: Seconds = 1.0
    """Between two looks at the database for a new catalog revision."""
    max_staleness_seconds: Seconds = SECONDS_PER_HOUR
    """For how long the snapshot in memory answers while the database does not."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Server processes."""
    body_limit_bytes: Bytes = 2**20
    """Largest JSON body."""
    trace_body_limit_bytes: Bytes = 32 * 2**20
    """Largest body of a request that carries a trace."""
    batch_body_limit_bytes: Bytes = 512 * 2**20
    """Largest body of a batch."""
    import_body_limit_bytes: Bytes = 32 * 2**20
    """Largest body of an import."""
    spool_bytes: Bytes = 2**20
    """Bytes of a batch body kept in memory; what is beyond goes to disk."""
    pool_workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads for work over 5 ms."""
    pool_waiting: Annotated[int, Field(ge=1)] = 32
    """Requests that may wait for such a thread; one more is answered 503."""
    open_read: bool = True
    """Whether reading the catalog and computing needs no API key."""
    open_price: bool = True
    """Whether pricing usage needs no API key."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """Least severity that is logged."""
