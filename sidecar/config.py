"""Settings and folders: what a host may choose at the start, checked once, then never changed."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from sidecar.errors import InvalidParams

APP_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LOG_LEVELS = ("debug", "info", "warning", "error")
PRODUCT = "llm-sidecar"


def user_cache_dir() -> Path:
    """Where converted models go: shared by all apps of this user."""
    from platformdirs import user_cache_path

    return user_cache_path(PRODUCT, appauthor=False)


def user_data_dir() -> Path:
    """Where apps' own data go, each in apps/<app_id>."""
    from platformdirs import user_data_path

    return user_data_path(PRODUCT, appauthor=False)


def user_config_dir() -> Path:
    """Where models.toml is looked for."""
    from platformdirs import user_config_path

    return user_config_path(PRODUCT, appauthor=False)


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """Where models are looked for and where their converted forms are kept."""

    model_dirs: tuple[Path, ...] = ()
    models_toml: Path | None = None
    cache_dir: Path = field(default_factory=user_cache_dir)
    cache_limit_bytes: int = 20 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a host chose in the `options` of its spawn line. Relative paths are refused."""

    app_id: str
    data_dir: Path | None = None
    cache_dir: Path | None = None
    model_dirs: tuple[Path, ...] = ()
    models_toml: Path | None = None
    memory_budget: int | None = None
    """Bytes for weights and cache of all models; None: three quarters of what is available at a load."""
    threads: int | None = None
    device: str = "auto"
    kernel_path: str = "auto"
    """Instruction set of the native executor; `sidecar doctor` lists them."""
    log_level: str = "info"
    debug_socket: bool | str = False
    """A door for the user's own tools: True for any free loopback port, or as in `--socket`."""
    executor: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> "Settings":
        """Check a spawn line's options. Raises InvalidParams naming the option and what would be right."""
        known = {item.name for item in fields(cls)}
        for name in options:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                hint = (
                    f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(sorted(known))}"
                )
                raise InvalidParams(
                    f"options has an unknown field {name!r}{hint}", parameter=f"options.{name}"
                )
        app_id = _string(options, "app_id")
        if app_id is None or not APP_ID_PATTERN.fullmatch(app_id):
            raise _wrong(
                "app_id",
                app_id,
                "a name of 1 to 64 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit",
            )
        log_level = _string(options, "log_level") or "info"
        if log_level not in LOG_LEVELS:
            raise _wrong("log_level", log_level, f"one of {', '.join(LOG_LEVELS)}")
        return cls(
            app_id=app_id,
            data_dir=_path(options, "data_dir"),
            cache_dir=_path(options, "cache_dir"),
            model_dirs=_paths(options, "model_dirs"),
            models_toml=_path(options, "models_toml"),
            memory_budget=_positive(options, "memory_budget"),
            threads=_positive(options, "threads"),
            device=_string(options, "device") or "auto",
            kernel_path=_string(options, "kernel_path") or "auto",
            log_level=log_level,
            debug_socket=_socket(options, "debug_socket"),
            executor=_string(options, "executor"),
        )

    @property
    def app_data_dir(self) -> Path:
        """The app's own folder; conversations of two vendors' apps never meet."""
        return (self.data_dir or user_data_dir()) / "apps" / self.app_id

    @property
    def library(self) -> LibrarySettings:
        """The part that the model library needs."""
        return LibrarySettings(
            model_dirs=self.model_dirs,
            models_toml=self.models_toml,
            cache_dir=self.cache_dir or user_cache_dir(),
        )


def _wrong(name: str, value: object, accepted: str) -> InvalidParams:
    return InvalidParams(f"options.{name} is {value!r}; it must be {accepted}", parameter=f"options.{name}")


def _string(options: Mapping[str, object], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(name, value, "a string")
    return value


def _positive(options: Mapping[str, object], name: str) -> int | None:
    value = options.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise _wrong(name, value, "an integer of at least 1")
    return value


def _path(options: Mapping[str, object], name: str) -> Path | None:
    text = _string(options, name)
    if text is None:
        return None
    if not Path(text).is_absolute() or "\0" in text:
        raise _wrong(name, text, "an absolute path")
    return Path(text)


def _socket(options: Mapping[str, object], name: str) -> bool | str:
    value = options.get(name, False)
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not (value.startswith("tcp://") or Path(value).is_absolute()):
        raise _wrong(name, value, "true, false, tcp://127.0.0.1:PORT, or the absolute path of a Unix socket")
    return value


def _paths(options: Mapping[str, object], name: str) -> tuple[Path, ...]:
    value = options.get(name, [])
    if not isinstance(value, list) or not all(
        isinstance(item, str) and Path(item).is_absolute() for item in value
    ):
        raise _wrong(name, value, "a list of absolute paths")
    return tuple(Path(item) for item in value)
