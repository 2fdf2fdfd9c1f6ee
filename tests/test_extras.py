"""What users are told to install can be installed."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from sidecar_protocol.capabilities import CAPABILITIES

ROOT = Path(__file__).parents[1]
SAID = re.compile(r"llm-sidecar\[([\w,]+)\]")
PLACES = ("sidecar", "protocol/sidecar_protocol", "clients/python/sidecar_client", "docs")


def test_every_extra_that_is_named_exists() -> None:
    texts = [(ROOT / "README.md").read_text(encoding="utf-8")]
    for place in PLACES:
        paths = [path for path in (ROOT / place).rglob("*") if path.suffix in (".py", ".md")]
        texts += [path.read_text(encoding="utf-8") for path in paths]
    named = {extra for text in texts for said in SAID.findall(text) for extra in said.split(",")}
    named |= {capability.extra for capability in CAPABILITIES.values() if capability.extra is not None}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert {"engine", "mcp"} <= named
    assert named <= set(extras)
    (everything,) = (Requirement(line) for line in extras["all"])
    assert everything.extras == set(extras) - {"all", "dev", "package"}
