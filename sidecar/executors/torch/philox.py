"""Philox4x32-10: the random numbers of sampling.

A counter-based generator: every number is a pure function of a key and a
counter, so the draw for one token does not depend on what else is in the batch
or on what was drawn before. Salmon et al., "Parallel random numbers: as easy as
1, 2, 3" (SC 2011); the constants and test vectors are those of Random123.
"""

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 0xFFFFFFFF

Words = tuple[int, int, int, int]


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Four 32-bit words for a counter of four and a key of two 32-bit words."""
    first, second, third, fourth = counter
    key_low, key_high = key
    for _ in range(_ROUNDS):
        product = _MULTIPLIERS[0] * first
        other = _MULTIPLIERS[1] * third
        first, second, third, fourth = (
            (other >> 32) ^ second ^ key_low,
            other & _WORD,
            (product >> 32) ^ fourth ^ key_high,
            product & _WORD,
        )
        key_low = (key_low + _KEY_STEPS[0]) & _WORD
        key_high = (key_high + _KEY_STEPS[1]) & _WORD
    return first, second, third, fourth


def uniform(seed: int, choice: int, position: int) -> float:
    """The number in [0, 1) for the token of `choice` that will stand at `position`.

    The key is `seed` (64 bits, low word first), the counter (choice, position,
    0, 0); the first word is divided by 2**32.
    """
    words = philox4x32((choice & _WORD, position & _WORD, 0, 0), (seed & _WORD, (seed >> 32) & _WORD))
    return words[0] / 2**32
