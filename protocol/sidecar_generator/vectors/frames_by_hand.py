"""Messages of every kind with what they may hold, and frames that are broken in every way we know.

A message is its name, its header and its body; a broken frame its name and its bytes in hex.
"""

from typing import Final

from sidecar_generator.vectors.files import pack

Message = tuple[str, dict[str, object], object]
BrokenFrame = tuple[str, str]

_MAX_ID: Final = 2**53 - 1
_MAX_HEADER_BYTES: Final = 4096
_CLIENT: Final[dict[str, object]] = {"name": "my-client", "version": "1.0"}
_PYTHON_CLIENT: Final[dict[str, object]] = {**_CLIENT, "language": "python"}
_CHUNK: Final = {"type": "chunk", "choice": 0, "text": " blue", "token_ids": [198]}
_LIMITS: Final[dict[str, object]] = {
    "message_bytes": 16_777_216,
    "frame_bytes": 67_108_864,
    "depth": 64,
    "elements": 262_144,
    "streams": 256,
    "requests": 1024,
    "credit": 256,
    "held_bytes": 262_144,
}
_WELCOME: Final[dict[str, object]] = {
    "protocol": 1,
    "boot_id": "9016d990c98226d8",
    "version": "0.1.0",
    "capabilities": ["tools"],
    "limits": _LIMITS,
    "methods": ["chat.create", "engine.ping"],
}

FROM_HOST: Final[tuple[Message, ...]] = (
    ("hello", {"k": "hello"}, {"protocols": [1], "client": _CLIENT, "capabilities": []}),
    (
        "hello of a host that answers requests",
        {"k": "hello"},
        {
            "protocols": [1, 2],
            "client": _PYTHON_CLIENT,
            "capabilities": ["host.call_tool", "host.elicit"],
        },
    ),
    ("hello without what may be left out", {"k": "hello"}, {"protocols": [1], "client": _CLIENT}),
    ("req without params", {"k": "req", "id": 1, "m": "engine.ping"}, {}),
    ("req with params", {"k": "req", "id": 2, "m": "tokens.encode"}, {"text": "Hello"}),
    (
        "req for a stream",
        {"k": "req", "id": 3, "m": "generate.create", "credit": 32},
        {"stream": True, "prompt": "The sky is blue because"},
    ),
    ("req for a stream that waits", {"k": "req", "id": 4, "m": "engine.logs", "credit": 0}, {}),
    (
        "req with a deadline",
        {"k": "req", "id": 5, "m": "models.load", "ttl": 1500},
        {"model": "smollm2-135m"},
    ),
    (
        "req with all that a host's may have",
        {"k": "req", "id": 6, "m": "responses.create", "ttl": 60_000, "idem": "9f86d081", "credit": 256},
        {"stream": True, "input": "Hello"},
    ),
    ("req with the id 0", {"k": "req", "id": 0, "m": "engine.ping"}, {}),
    ("req with the largest id", {"k": "req", "id": _MAX_ID, "m": "engine.ping"}, {}),
    (
        "req of a method that nobody knows",
        {"k": "req", "id": 7, "m": "of.tomorrow"},
        {"any": ["thing", None]},
    ),
    ("req whose params are nil", {"k": "req", "id": 8, "m": "engine.ping"}, None),
    ("cancel", {"k": "cancel", "id": 3}, {}),
    ("credit", {"k": "credit", "id": 3, "credit": 16}, {}),
    ("ping", {"k": "ping", "n": 1}, {}),
    ("pong", {"k": "pong", "n": 31}, {}),
    ("res", {"k": "res", "id": 1, "s": 0}, {"output": "3"}),
    ("err", {"k": "err", "id": 2, "s": 0}, {"code": "cancelled", "message": "the handler was cancelled"}),
    ("bye", {"k": "bye"}, {"code": "closed", "message": "the host closed the connection"}),
    ("a kind that nobody knows", {"k": "of_tomorrow", "id": 9}, {"any": "thing"}),
    ("a header with a field that nobody knows", {"k": "ping", "n": 2, "of_tomorrow": {"x": [1]}}, {}),
    ("a ping whose body is nil", {"k": "ping", "n": 3}, None),
)
FROM_ENGINE: Final[tuple[Message, ...]] = (
    ("welcome", {"k": "welcome"}, _WELCOME),
    (
        "welcome with fields that nobody knows",
        {"k": "welcome"},
        {**_WELCOME, "limits": {**_LIMITS, "of_tomorrow": 1}, "of_tomorrow": True},
    ),
    ("bye in place of welcome", {"k": "bye"}, {"code": "conflict", "message": "it has a host already"}),
    ("evts of one stream", {"k": "evts"}, [[3, 0, {"type": "queued", "position": 1}]]),
    (
        "evts of two streams",
        {"k": "evts"},
        [[3, 1, {"type": "prefill", "done": 8, "total": 12}], [4, 0, _CHUNK], [3, 2, _CHUNK]],
    ),
    ("evts of a type that nobody knows", {"k": "evts"}, [[3, 3, {"type": "of_tomorrow", "x": {"y": [1]}}]]),
    ("evts without events", {"k": "evts"}, []),
    ("evts with the largest numbers", {"k": "evts"}, [[_MAX_ID, _MAX_ID, _CHUNK]]),
    ("res", {"k": "res", "id": 2, "s": 0}, {"token_ids": [19_556]}),
    ("res behind events", {"k": "res", "id": 4, "s": 300}, {}),
    ("res that does not count events", {"k": "res", "id": 2}, {}),
    (
        "res with a field that nobody knows",
        {"k": "res", "id": 2, "s": 0},
        {"token_ids": [], "of_tomorrow": 1},
    ),
    (
        "err",
        {"k": "err", "id": 7, "s": 0},
        {
            "code": "method_not_found",
            "message": "there is no method 'of.tomorrow'; welcome.methods lists what there is",
        },
    ),
    (
        "err with all that it may have",
        {"k": "err", "id": 6, "s": 12},
        {
            "code": "busy",
            "message": "256 streams are open on this connection",
            "retryable": True,
            "data": {"retry_after_ms": 50},
        },
    ),
    (
        "err with a code that nobody knows",
        {"k": "err", "id": 6, "s": 0},
        {"code": "of_tomorrow", "message": "m"},
    ),
    (
        "req that serves one of the host's",
        {"k": "req", "id": 1, "m": "host.call_tool", "p": 6},
        {"call_id": "call_01", "name": "add", "arguments": {"a": 1, "b": 2}},
    ),
    (
        "req of its own",
        {"k": "req", "id": 2, "m": "host.open_url"},
        {"url": "https://example.org/authorize", "purpose": "authorization"},
    ),
    ("req of a method that nobody knows", {"k": "req", "id": 3, "m": "host.of_tomorrow"}, {}),
    ("cancel", {"k": "cancel", "id": 1}, {}),
    (
        "ntf of a breach of the protocol",
        {"k": "ntf", "m": "protocol.error"},
        {"code": "invalid_message", "message": "ids must rise above 7", "id": 3, "limit": 7},
    ),
    (
        "ntf",
        {"k": "ntf", "m": "models.changed"},
        {"model": {"name": "smollm2-135m", "state": "ready", "context_length": 8192}},
    ),
    ("ntf that nobody knows", {"k": "ntf", "m": "of.tomorrow"}, {"any": ["thing"]}),
    ("ping", {"k": "ping", "n": 31}, {}),
    ("pong", {"k": "pong", "n": 1}, {}),
    ("bye", {"k": "bye"}, {"code": "shutting_down", "message": "the sidecar is ending"}),
    ("a kind that nobody knows", {"k": "of_tomorrow"}, [1, None]),
    ("a header with a field that nobody knows", {"k": "pong", "n": 2, "of_tomorrow": {"x": [1]}}, {}),
)
PING_IN_LONGER_FORMS: Final = "df00000002d9016bda000470696e67d9016ecf0000000000000001"
"""The header of ping 1, each length and the number in a longer form than it needs."""

_PING_AND: Final = "82a16ba470696e67a178"
"""A ping's header up to the value of a field x."""
BROKEN_HEADERS: Final[tuple[BrokenFrame, ...]] = (
    ("nothing", ""),
    ("nil", "c0"),
    ("a number", "01"),
    ("a text", pack("ping")),
    ("a list", pack(["ping", 1])),
    ("an empty map", "80"),
    ("no kind", pack({"id": 1, "m": "engine.ping"})),
    ("a kind that is a number", pack({"k": 1})),
    ("a kind that is nil", pack({"k": None})),
    ("a negative id", pack({"k": "res", "id": -1})),
    ("an id that JavaScript does not read exactly", pack({"k": "res", "id": _MAX_ID + 1})),
    ("the largest number as id", pack({"k": "res", "id": 2**64 - 1})),
    ("a float as id", pack({"k": "res", "id": 1.0})),
    ("a text as id", pack({"k": "res", "id": "1"})),
    ("a boolean as id", pack({"k": "res", "id": True})),
    *(
        (f"a negative {name}", pack({"k": "res", "id": 1, name: -1}))
        for name in ("s", "p", "ttl", "credit", "n")
    ),
    ("a method that is a number", pack({"k": "ntf", "m": 1})),
    ("a map that ends too early", pack({"k": "ping", "n": 1})[:-2]),
    ("bytes behind it", pack({"k": "ping", "n": 1}) + "c0"),
    ("a key twice", "83a16ba470696e67a16e01a16e01"),
    ("a number as key", "82a16ba470696e6701c0"),
    ("a kind that is no UTF-8", "81a16ba1ff"),
    ("NaN", f"{_PING_AND}cb7ff8000000000000"),
    ("an extension", f"{_PING_AND}d40500"),
    ("a timestamp", f"{_PING_AND}d6ff00000000"),
    ("a byte that msgpack never uses", f"{_PING_AND}c1"),
    ("65 levels", f"{_PING_AND}{'91' * 63}90"),
    ("a map that announces four billion", "dfffffffff"),
)
TOO_LARGE_HEADERS: Final[tuple[BrokenFrame, ...]] = (
    ("longer than 4 KiB", pack({"k": "ping", "x": "y" * _MAX_HEADER_BYTES})),
)
BROKEN_BODIES: Final[tuple[BrokenFrame, ...]] = (
    ("nothing", ""),
    ("bytes behind it", "80c0"),
    ("a byte that msgpack never uses", "c1"),
    ("a text that ends too early", "a261"),
    ("a number that ends too early", "cd01"),
    ("a count that ends too early", "dc00"),
    ("a list that ends too early", "9201"),
    ("a list that announces four billion", "ddffffffff"),
    ("a map that announces four billion", "dfffffffff"),
    ("a text that is no UTF-8", "a1ff"),
    ("a lone surrogate", "a3eda080"),
    ("overlong UTF-8", "a2c080"),
    ("a number as key", "810102"),
    ("bytes as key", "81c4016101"),
    ("nil as key", "81c001"),
    ("a key twice", "82a16101a16102"),
    ("a key twice, further in", "81a17882a16101a16101"),
    ("NaN", "81a178cb7ff8000000000000"),
    ("infinity", "81a178cb7ff0000000000000"),
    ("negative infinity in 32 bits", "81a178caff800000"),
    ("a signalling NaN in 32 bits", "81a178ca7f800001"),
    ("an extension", "81a178d40500"),
    ("an extension without content", "81a178c70005"),
    ("a timestamp of 32 bits", "81a178d6ff00000000"),
    ("a timestamp of 96 bits", "81a178c70cff000000000000000000000000"),
    ("65 levels of lists", "91" * 64 + "90"),
    ("65 levels of maps", "81a178" * 64 + "80"),
    ("another protocol", b"GET / HTTP/1.1\r\n\r\n".hex()),
)
