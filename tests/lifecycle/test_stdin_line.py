"""The one line a host writes, and what its closing means."""

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from sidecar.errors import InvalidMessage
from sidecar.lifecycle.stdin_line import StdinWatch


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    with contextlib.suppress(OSError):
        os.close(writer)
    for thread in threading.enumerate():
        # A thread that is about to read must not find the next test's pipe under the same number.
        if thread.name == "stdin":
            thread.join(5)
    os.close(reader)


def test_the_line_comes_without_its_newline_however_it_is_cut(pipe: tuple[int, int]) -> None:
    watch = StdinWatch(pipe[0], limit=100)
    os.write(pipe[1], b'{"a"')
    os.write(pipe[1], b":1}\nmore that nobody reads")
    assert watch.first_line(5) == b'{"a":1}'


def test_a_line_without_end_is_refused_at_the_limit(pipe: tuple[int, int]) -> None:
    watch = StdinWatch(pipe[0], limit=100)
    os.write(pipe[1], b"x" * 101)
    with pytest.raises(InvalidMessage, match="longer than 100 bytes"):
        watch.first_line(5)


def test_a_closed_stdin_is_not_a_line(pipe: tuple[int, int]) -> None:
    watch = StdinWatch(pipe[0], limit=100)
    os.write(pipe[1], b'{"half"')
    os.close(pipe[1])
    with pytest.raises(InvalidMessage, match="closed before"):
        watch.first_line(5)


def test_silence_has_a_deadline(pipe: tuple[int, int]) -> None:
    with pytest.raises(InvalidMessage, match=r"no line came on stdin within 0\.01 seconds"):
        StdinWatch(pipe[0], limit=100).first_line(0.01)


@pytest.mark.parametrize("listen_first", [True, False])
def test_the_end_is_told_once_before_or_after_it_came(pipe: tuple[int, int], listen_first: bool) -> None:
    watch = StdinWatch(pipe[0], limit=100)
    ended = threading.Event()
    if listen_first:
        watch.on_end(ended.set)
    os.write(pipe[1], b"line\nignored\n")
    assert watch.first_line(5) == b"line"
    assert not ended.is_set()
    os.close(pipe[1])
    if not listen_first:
        watch.on_end(ended.set)
    assert ended.wait(5)
