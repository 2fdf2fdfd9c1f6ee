"""Finds what msgpack can carry and JSON cannot, in the fields of params that take any JSON."""


def binary_value(plain: object) -> str | None:
    """Where in plain objects the first bytes are, such as `.tools[0].parameters.type`; None: nowhere.

    The way to them is put together only once they are found: every request is looked through.
    """
    if isinstance(plain, bytes):
        return ""
    if isinstance(plain, dict):
        for key, item in plain.items():
            if (rest := binary_value(item)) is not None:
                return f".{key}{rest}"
    elif isinstance(plain, list):
        for index, item in enumerate(plain):
            if (rest := binary_value(item)) is not None:
                return f"[{index}]{rest}"
    return None
