"""Finds what msgpack can carry and JSON cannot, in the fields of params that take any JSON."""


def binary_value(plain: object, path: str) -> str | None:
    """Where the first bytes in plain objects are, such as `params.tools[0].parameters.type`, or None."""
    waiting = [(path, plain)]
    while waiting:
        where, value = waiting.pop()
        match value:
            case bytes():
                return where
            case dict():
                waiting += [(f"{where}.{key}", item) for key, item in reversed(value.items())]
            case list():
                waiting += [(f"{where}[{index}]", value[index]) for index in reversed(range(len(value)))]
    return None
