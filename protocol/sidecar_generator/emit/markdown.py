"""placeholder"""


def emit(schema):
    return {}
