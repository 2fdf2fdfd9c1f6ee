"""What programs may rely on: exported names, an error class per code, arguments equal to the protocol's."""

import inspect
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest

import sidecar_client
from sidecar_client import namespaces
from sidecar_client.errors import ERRORS, EngineError, error_from_body
from sidecar_protocol.errors import ERROR_CODES, ErrorBody
from sidecar_protocol.methods import METHODS
from tests.support.fake_engine import DEADLINE_SECONDS

ROOT = Path(__file__).parents[3]


def test_exported_names() -> None:
    assert sorted(sidecar_client.__all__) == [
        "ChatStream",
        "Engine",
        "EngineCrashed",
        "EngineError",
        "EngineFrozen",
        "EngineGaveUp",
        "EngineLost",
        "EngineRestarted",
        "EngineThawed",
        "GenerateStream",
        "HostHandlers",
        "HostTools",
        "Liveness",
        "Notice",
        "RestartPolicy",
        "StartFailed",
        "Stream",
        "SyncEngine",
        "__version__",
        "errors",
    ]
    assert all(hasattr(sidecar_client, name) for name in sidecar_client.__all__)


def test_version_is_the_distributions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sidecar_client.__version__ == project["version"]


def test_every_code_has_its_exception() -> None:
    assert set(ERRORS) == set(ERROR_CODES)
    for code in ERROR_CODES:
        error = error_from_body(ErrorBody(code=code, message="m", data={"k": 1}, retryable=True))
        assert (type(error), error.code, error.message) == (ERRORS[code], code, "m")
        assert isinstance(error, EngineError)
        assert (error.data, error.retryable) == ({"k": 1}, True)


OWN_ARGUMENTS = {"credit", "deadline_seconds"}
CALLS = [name for name in METHODS if not name.startswith("engine.")]


@pytest.mark.parametrize("name", CALLS)
def test_arguments_are_the_methods_params(name: str) -> None:
    namespace, _, verb = name.partition(".")
    call = getattr(getattr(namespaces, namespace.capitalize()), verb)
    arguments: set[str] = set()
    for parameter in list(inspect.signature(call).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (keywords,) = typing.get_args(parameter.annotation)
            arguments |= set(keywords.__annotations__)
        else:
            arguments.add(parameter.name)
    params = METHODS[name].params
    assert arguments - OWN_ARGUMENTS == set(params.__struct_encode_fields__) - {"stream"}


def test_every_method_has_a_typed_call() -> None:
    engine = sidecar_client.Engine
    typed = {f"engine.{name}" for name in vars(engine)}
    for namespace in {name.partition(".")[0] for name in CALLS}:
        kind = getattr(namespaces, namespace.capitalize())
        typed |= {f"{namespace}.{name}" for name in vars(kind)}
    assert set(METHODS) <= typed


def test_importing_it_stays_light() -> None:
    heavy = {"torch", "numpy", "rich", "platformdirs", "zmq.asyncio", "importlib.metadata", "sidecar"}
    code = f"import sys, sidecar_client; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert done.stdout.strip() == "[]"
