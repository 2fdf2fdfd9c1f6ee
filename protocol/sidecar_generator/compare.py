"""placeholder"""


def breaking_changes(a, b):
    return []
