"""A hostile chat template ends quickly, with a typed error and bounded memory, whatever it tries."""

import time
import tracemalloc

import pytest

from sidecar.errors import InvalidParams, ModelLoadFailed
from sidecar.text.chat_template import MAX_SOURCE_CHARACTERS, ChatTemplate

GROW = "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(64) %}"
LOOP = "{% for i in range(100000) %}"
LAUGHS = "{% set ns = namespace(x='lol') %}{% for i in range(64) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
BIG = "{% set big = 'ab' * 3000000 %}"
MANY = LOOP * 3 + "{% endfor %}" * 3

HOSTILE = {
    "multiply text": "{{ 'a' * 2000000000 }}",
    "multiply twice": "{{ ('a' * 100000) * 100000 }}",
    "multiply a list": "{{ [1] * 2000000000 }}",
    "multiply long parts": BIG + "{{ [big] * 100000 }}",
    "power": "{{ 10 ** 1000000000 }}",
    "power tower": "{{ 9 ** (9 ** 9) }}",
    "nested loops": MANY,
    "nested loops with output": LOOP * 2 + "xxxxxxxxxxxxxxxxxxxxxxxxxxx" + "{% endfor %}" * 2,
    "range": "{% for i in range(2000000000) %}{% endfor %}",
    "double by plus": GROW + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "double by tilde": GROW + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "double by format": GROW + "{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
    "double by str.format": GROW + "{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}",
    "double by format_map": GROW + "{% set ns.x = '{a}{a}'.format_map({'a': ns.x}) %}{% endfor %}",
    "double by join": GROW + "{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}",
    "double by str.join": GROW + "{% set ns.x = ns.x.join(['', '', '']) %}{% endfor %}",
    "double by replace": GROW + "{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "double by replace filter": GROW + "{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}",
    "double by block": GROW + "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "double by macro": "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}"
    + GROW
    + "{% set ns.x = m(ns.x) %}{% endfor %}",
    "double by filter block": GROW
    + "{% set ns.x %}{% filter upper %}{{ ns.x }}{{ ns.x }}{% endfilter %}{% endset %}{% endfor %}",
    "double a list": GROW.replace("'aaaaaaaaaaaaaaaa'", "[1]") + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "laughs": LAUGHS + "{{ ns.x }}",
    "laughs as JSON": LAUGHS.replace("[ns.x, ns.x]", "{'a': ns.x, 'b': ns.x}") + "{{ ns.x|tojson }}",
    "laughs as string": LAUGHS + "{{ ns.x|string|length }}",
    "laughs by repr": LAUGHS + "{{ '{!r}'.format(ns.x) }}",
    "laughs compared": LAUGHS + "{% set a = ns.x %}" + LAUGHS.replace("lol", "l" + "ol") + "{{ a == ns.x }}",
    "keep slices": BIG
    + "{% set ns = namespace(x=[]) %}"
    + LOOP
    + "{% set ns.x = ns.x + [big[1:]] %}{% endfor %}",
    "keep splits": BIG
    + "{% set ns = namespace(x=[]) %}"
    + LOOP
    + "{% set ns.x = ns.x + [big.split('b')] %}{% endfor %}",
    "center": "{{ 'a'|center(2000000000) }}",
    "str.center": "{{ 'a'.center(2000000000) }}",
    "ljust": "{{ 'a'.ljust(2000000000) }}",
    "zfill": "{{ 'a'.zfill(2000000000) }}",
    "expandtabs": "{{ ('\\t' * 1000).expandtabs(2000000000) }}",
    "many tabs": "{{ ('\\t' * 1000000).expandtabs(100000) }}",
    "indent": "{{ ('a\\n' * 1000000)|indent(100000) }}",
    "indent by text": "{{ ('a\\n' * 100000)|indent('x' * 100000) }}",
    "format width": "{{ '%2000000000d' % 1 }}",
    "format star": "{{ '%*d' % (2000000000, 1) }}",
    "format precision": "{{ '%.2000000000f' % 1 }}",
    "format filter width": "{{ '%2000000000d'|format(1) }}",
    "format by name": "{{ ('%(a)s' * 100000) % {'a': 'x' * 100000} }}",
    "str.format width": "{{ '{:2000000000}'.format(1) }}",
    "str.format inner width": "{{ '{:{}}'.format(1, 2000000000) }}",
    "tojson indent": "{{ [[[[1]]]]|tojson(indent=2000000000) }}",
    "tojson separators": "{{ [1, 2]|tojson(separators=('x' * 1000, 'y')) }}",
    "replace nothing": "{{ ('a' * 1000000)|replace('', 'x' * 1000) }}",
    "replace counted": "{{ ('a' * 1000000)|replace(old='', new='x' * 1000) }}",
    "join separator": "{{ range(100000)|join('x' * 100000) }}",
    "join text": "{{ ('x' * 100000).join('a' * 100000) }}",
    "batch": "{{ [1]|batch(2000000000, 'x')|list }}",
    "slice": "{{ [1]|slice(2000000000)|list }}",
    "round": "{{ 1|round(-2000000000) }}",
    "sum of lists": "{{ ([[1]] * 100000)|sum(start=[]) }}",
    "encode": "{{ 'a'.encode('utf-32') }}",
    "translate": "{{ 'a'.translate({97: 'x' * 1000000}) }}",
    "to_bytes": "{{ (1).to_bytes(2000000000, 'big') }}",
    "lipsum": "{{ lipsum(n=2000000000) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "recursive loop": "{% for x in [[1]] recursive %}{{ loop([[1], [1]]) }}{% endfor %}",
    "compare in a list": BIG
    + "{% set other = big[1:] ~ 'b' %}"
    + LOOP
    + "{{ other in [big, big, big] }}{% endfor %}",
    "count in a list": BIG
    + "{% set l = [big, big, big] %}"
    + LOOP
    + "{{ l.count(big[1:] ~ 'b') }}{% endfor %}",
    "sort": BIG + LOOP + "{{ [big, big, big]|sort|length }}{% endfor %}",
    "search": BIG + LOOP * 2 + "{% if big.find('aa') %}{% endif %}" + "{% endfor %}" * 2,
    "map": "{{ range(100000)|map('string')|map('center', 99999)|join|length }}",
    "laughs in a namespace": LAUGHS + "{{ [ns, ns.x] }}",
    "date": "{{ strftime_now('%Y' * 1000000) }}",
    "internals": "{{ ''.__class__.__mro__ }}{{ raise_exception.__globals__.keys() }}",
    "change the messages": "{{ messages.append(1) }}",
    "underscore names": "{% set ns = namespace(_x=1) %}",
    "import": "{% include 'secret' %}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_quickly(name: str) -> None:
    template = ChatTemplate(HOSTILE[name])
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(InvalidParams, match=r"the model's chat template"):
            template.render([{"role": "user", "content": "x"}], deadline_seconds=0.5)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.perf_counter() - begin < 4
    assert peak < 300 * 2**20


def test_a_constant_is_not_computed_while_compiling() -> None:
    begin = time.perf_counter()
    ChatTemplate(
        "{{ 'a' * 2000000000 }}{{ 'a'|center(2000000000) }}{{ 9 ** 9 ** 9 }}{{ '%2000000000d' % 1 }}"
    )
    assert time.perf_counter() - begin < 2


def test_a_template_is_bounded_in_length() -> None:
    with pytest.raises(ModelLoadFailed, match="longer than"):
        ChatTemplate("x" * (MAX_SOURCE_CHARACTERS + 1))


@pytest.mark.parametrize("text", ["\0iterate", "\0weigh"])
def test_internal_filters_cannot_be_named(text: str) -> None:
    with pytest.raises(ModelLoadFailed):
        ChatTemplate("{{ 'x'|" + text + " }}")
