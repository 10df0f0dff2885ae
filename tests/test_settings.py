"""Settings come from the environment when they are built, never at import."""

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_defaults_serve_an_embedded_catalog_here() -> None:
    settings = Settings()
    assert settings.database_url == "sqlite:///pertoken.db"
    assert settings.max_staleness_seconds == 3600
    assert settings.poll_interval_seconds == 1


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", "postgresql+psycopg://u@h/d")
    monkeypatch.setenv("PERTOKEN_MAX_STALENESS_SECONDS", "60")
    assert Settings().database_url == "postgresql+psycopg://u@h/d"
    assert Settings().max_staleness_seconds == 60


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("WORKERS", "0"), ("POLL_INTERVAL_SECONDS", "0"), ("MAX_STALENESS_SECONDS", "nan")],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"PERTOKEN_{name}", value)
    with pytest.raises(ValidationError):
        Settings()
