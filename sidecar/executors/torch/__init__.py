"""The torch executor: any device, the reference for the others. Knows tensors; never requests or text.

torch's threads wait for each other at the end of every operation. Left alone
they do so spinning for milliseconds, and when the application, a browser or a
second model wants the same cores, the one that computes is kept from its core
by the ones that wait: measured on two busy cores, a token took 30 times as
long. So they spin for some microseconds only, then sleep. GNU's OpenMP reads
this when torch is imported; whoever has set it keeps their value.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "2000")
