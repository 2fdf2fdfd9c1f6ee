"""protocol/fixtures: values and messages that the suite of every language reads, and how many there are.

types/*.json holds values of each type, in msgpack and in JSON, and others that are
almost of it; frames.json whole messages. codec.json is written by hand, conversations
are recorded: of these only the numbers are known here.
"""

import json
from pathlib import Path
from typing import Final

from sidecar_generator.schema import Schema
from sidecar_generator.vectors.accepted import accepted_of
from sidecar_generator.vectors.by_hand import ACCEPTED, REJECTED
from sidecar_generator.vectors.files import Entry, file_text, pack, readable
from sidecar_generator.vectors.flaws import rejected_of
from sidecar_generator.vectors.frames import accepted_frames, rejected_frames
from sidecar_generator.vectors.values import Values
from sidecar_generator.vectors.vector import Accepted, Rejected, Role, Vector, roles

FOLDER: Final = "protocol/fixtures"
_FIXTURES: Final = Path(__file__).parents[2] / "fixtures"


def emit(schema: Schema) -> dict[str, str]:
    """types/*.json, frames.json and counts.json."""
    part = roles(schema)
    accepted, rejected = type_vectors(schema, part)
    files: dict[str, str] = {}
    for module in sorted({schema.types[name].module for name in part}):
        entries = {
            "accepted": [_entry(vector, part) for vector in accepted if _module(schema, vector) == module],
            "rejected": [_entry(vector, part) for vector in rejected if _module(schema, vector) == module],
        }
        files[f"{FOLDER}/types/{module}.json"] = file_text({"module": module}, entries)
    frames = {"accepted": list(accepted_frames()), "rejected": list(rejected_frames())}
    files[f"{FOLDER}/frames.json"] = file_text({}, frames)
    counts: Entry = {
        "types": {"accepted": len(accepted), "rejected": len(rejected)},
        "frames": {name: len(entries) for name, entries in frames.items()},
        "conversations": len(list((_FIXTURES / "conversations").glob("*.json"))),
        "codec": _codec_counts(),
    }
    files[f"{FOLDER}/counts.json"] = file_text(counts, {})
    return files


def type_vectors(schema: Schema, part: dict[str, Role]) -> tuple[list[Accepted], list[Rejected]]:
    """The vectors of every type, those written by hand last."""
    values = Values(schema)
    accepted = [vector for name in part for vector in accepted_of(values, name)]
    rejected = [vector for name, role in part.items() for vector in rejected_of(values, name, role)]
    return [*accepted, *ACCEPTED], [*rejected, *REJECTED]


def _module(schema: Schema, vector: Vector) -> str:
    return schema.types[vector.type].module


def _entry(vector: Vector, part: dict[str, Role]) -> Entry:
    entry: Entry = {
        "name": vector.name,
        "type": vector.type,
        "role": part[vector.type],
        "body": pack(vector.value),
        "value": readable(vector.value),
    }
    if isinstance(vector, Rejected):
        entry |= {"flaw": vector.flaw, "where": vector.where}
    return entry


def _codec_counts() -> dict[str, int]:
    codec = json.loads((_FIXTURES / "codec.json").read_text(encoding="utf-8"))
    return {"accepted": len(codec["accept"]), "rejected": len(codec["reject"])}
