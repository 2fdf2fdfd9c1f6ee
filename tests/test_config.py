"""What a host may say in the options of its spawn line."""

from pathlib import Path

import pytest

from sidecar.config import Settings
from sidecar.errors import InvalidParams


def test_all_options_arrive() -> None:
    settings = Settings.from_options(
        {
            "app_id": "notes.app",
            "data_dir": "/d",
            "cache_dir": "/c",
            "model_dirs": ["/m", "/n"],
            "models_toml": "/m.toml",
            "memory_budget": 10,
            "threads": 2,
            "device": "cpu",
            "log_level": "debug",
        }
    )
    assert settings.app_data_dir == Path("/d/apps/notes.app")
    assert settings.library.cache_dir == Path("/c")
    assert settings.library.model_dirs == (Path("/m"), Path("/n"))
    assert (settings.memory_budget, settings.threads, settings.device, settings.log_level) == (
        10,
        2,
        "cpu",
        "debug",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "options.app_id is None"),
        ({"app_id": "../evil"}, "options.app_id is '../evil'"),
        ({"app_id": "UPPER"}, "options.app_id"),
        ({"app_id": "a", "model_dir": []}, "unknown field 'model_dir'; did you mean 'model_dirs'"),
        ({"app_id": "a", "zzz": 1}, "known: app_id"),
        (
            {"app_id": "a", "data_dir": "relative"},
            "options.data_dir is 'relative'; it must be an absolute path",
        ),
        ({"app_id": "a", "data_dir": "/nul\0"}, "options.data_dir"),
        ({"app_id": "a", "model_dirs": ["x"]}, "options.model_dirs"),
        ({"app_id": "a", "model_dirs": "/x"}, "options.model_dirs"),
        ({"app_id": "a", "threads": 0}, "options.threads is 0; it must be an integer of at least 1"),
        ({"app_id": "a", "threads": True}, "options.threads"),
        ({"app_id": "a", "memory_budget": 1.5}, "options.memory_budget"),
        ({"app_id": "a", "log_level": "loud"}, "one of debug, info, warning, error"),
        ({"app_id": "a", "device": 0}, "options.device is 0; it must be a string"),
    ],
)
def test_a_bad_option_is_named_with_what_would_be_right(options: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidParams) as raised:
        Settings.from_options(options)
    assert says in raised.value.message
