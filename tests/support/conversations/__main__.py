"""Record all conversations anew: python -m tests.support.conversations."""

import asyncio
import sys
from pathlib import Path

from sidecar_generator.vectors.files import file_text, readable
from tests.support.conversations.scripts import CONVERSATIONS, Conversation
from tests.support.conversations.stage import Stage
from tests.support.fixtures import FIXTURES

FOLDER = FIXTURES / "conversations"


async def record(conversation: Conversation) -> str:
    """The text of its file."""
    stage = Stage(conversation.protocols)
    await conversation.script(stage)
    engine = {"executor": "scripted", "protocols": list(conversation.protocols), "does": stage.engine_does}
    head = {"name": conversation.name, "what": conversation.what, "engine": engine}
    lists = {"actions": stage.actions, "steps": stage.steps, "observes": stage.observes}
    text = file_text(head, {name: [readable(entry) for entry in entries] for name, entries in lists.items()})
    await stage.close()
    return text


def main(folder: Path = FOLDER) -> int:
    """Write the files that have changed, remove those that no script makes; tells their names."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"{one.name}.json": asyncio.run(record(one)) for one in CONVERSATIONS}
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
            print(f"removed {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
