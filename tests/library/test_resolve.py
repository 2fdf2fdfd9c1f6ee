"""Which file a model's name means."""

from pathlib import Path

import pytest

from sidecar.config import LibrarySettings
from sidecar.errors import InvalidParams, NotFound
from sidecar.library import resolve
from sidecar.library.resolve import list_models, resolve_model


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibrarySettings:
    first, second = tmp_path / "first", tmp_path / "second"
    for file in (first / "Small.gguf", second / "small.gguf", second / "other.gguf", first / "notes.txt"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"GGUF")
    (second / "tuned").mkdir()
    (second / "tuned" / "config.json").write_text("{}")
    (second / "tuned" / "model.safetensors").write_bytes(b"12345")
    toml = tmp_path / "models.toml"
    toml.write_text('[models.writer]\npath = "second/other.gguf"\n[models.small]\npath = "/nowhere.gguf"\n')
    monkeypatch.setattr(resolve, "MODEL_PACKAGES", {"packed": "packed_model"})
    package = tmp_path / "packages" / "packed_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('a model package must not be run')")
    (package / "weights.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(package.parent))
    return LibrarySettings(model_dirs=(first, second), models_toml=toml, cache_dir=tmp_path / "cache")


def test_the_order_is_folders_then_toml_then_packages(settings: LibrarySettings) -> None:
    first, second = settings.model_dirs
    assert resolve_model("small", settings).path == first / "Small.gguf"
    assert resolve_model("tuned", settings).path == second / "tuned"
    writer = resolve_model("writer", settings)
    assert (writer.path, writer.origin) == (second / "other.gguf", "models.toml")
    packed = resolve_model("packed", settings)
    assert (packed.path.name, packed.origin) == ("weights.gguf", "package")


def test_an_explicit_path_needs_no_folder(settings: LibrarySettings) -> None:
    path = settings.model_dirs[1] / "other.gguf"
    entry = resolve_model(str(path), settings)
    assert (entry.name, entry.path, entry.origin) == ("other", path, "path")


def test_the_list_holds_each_name_once_and_nothing_that_is_gone(settings: LibrarySettings) -> None:
    found = {entry.name: entry for entry in list_models(settings)}
    assert sorted(found) == ["Small", "other", "packed", "tuned", "writer"]
    assert (found["tuned"].file_format, found["tuned"].file_bytes) == ("safetensors", 5)
    assert (found["other"].file_format, found["other"].file_bytes) == ("gguf", 4)


def test_an_unknown_name_gets_the_nearest_ones_and_where_was_looked(settings: LibrarySettings) -> None:
    with pytest.raises(NotFound, match="did you mean: writer") as raised:
        resolve_model("writr", settings)
    assert str(settings.model_dirs[0]) in raised.value.message
    assert raised.value.data["nearest"] == ["writer"]


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "x" * 5000, "models/relative.gguf", "../up"])
def test_what_cannot_be_a_name_is_refused(name: str, settings: LibrarySettings) -> None:
    with pytest.raises(InvalidParams, match="model is"):
        resolve_model(name, settings)


@pytest.mark.parametrize("name", ["..", ".", "notes", "notes.txt"])
def test_a_name_never_leaves_the_folders(name: str, settings: LibrarySettings) -> None:
    with pytest.raises(NotFound):
        resolve_model(name, settings)


def test_a_path_that_is_no_model_says_so(settings: LibrarySettings) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        resolve_model("/nowhere/at/all.gguf", settings)
    with pytest.raises(NotFound, match=r"is no \.gguf file"):
        resolve_model(str(settings.model_dirs[0] / "notes.txt"), settings)


def test_default_is_the_shipped_model_unless_the_user_names_another(tmp_path: Path) -> None:
    toml = tmp_path / "models.toml"
    settings = LibrarySettings(models_toml=toml)
    assert resolve_model("default", settings).name == "smollm2-135m"
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    toml.write_text('[models.default]\npath = "own.gguf"\n')
    assert resolve_model("default", settings).path == own


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[models", "is not TOML"),
        ("models = 3", "no table"),
        ("[model.x]\npath='a'", "unknown key 'model'; did you mean 'models'"),
        ("[models.x]\npth='a'", "models.x has an unknown key 'pth'; did you mean 'path'"),
        ("[models.x]", "models.x.path is None"),
        ("[models.x]\npath=3", "models.x.path is 3"),
        ("[models.'a b']\npath='x'", "has the name 'a b'"),
        ("[models]\nx = 1", "models.x is no table"),
    ],
)
def test_a_bad_models_toml_says_what_and_where(content: str, says: str, tmp_path: Path) -> None:
    toml = tmp_path / "models.toml"
    toml.write_text(content)
    with pytest.raises(InvalidParams) as raised:
        resolve_model("x", LibrarySettings(models_toml=toml))
    assert str(toml) in raised.value.message
    assert says in raised.value.message
