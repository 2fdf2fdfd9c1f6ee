import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine.block_pool import BlockPool, blocks_for, chained_hash
from sidecar.errors import InternalError


def keys(count: int) -> list[bytes]:
    return [chained_hash(b"", [index]) for index in range(count)]


def published(pool: BlockPool, names: list[bytes]) -> list[int]:
    """Blocks with known content that nobody holds any more."""
    blocks = pool.allocate(len(names))
    assert blocks is not None
    for block, key in zip(blocks, names, strict=True):
        pool.publish(block, key)
    pool.release(blocks)
    return blocks


@pytest.mark.parametrize(("tokens", "blocks"), [(0, 0), (1, 1), (16, 1), (17, 2)])
def test_blocks_for_rounds_up(tokens: int, blocks: int) -> None:
    assert blocks_for(tokens) == blocks


def test_the_hash_of_a_block_depends_on_everything_before_it() -> None:
    first, other = chained_hash(b"root", [1, 2]), chained_hash(b"root", [1, 3])
    assert chained_hash(first, [4]) != chained_hash(other, [4])
    assert BlockPool(1, namespace="a").root_hash != BlockPool(1, namespace="b").root_hash


def test_blocks_are_adjacent_and_leave_room_to_grow() -> None:
    pool = BlockPool(32)
    first = pool.allocate(3, room=4)
    second = pool.allocate(2, room=4)
    assert first == [0, 1, 2]
    assert second == [7, 8]
    assert pool.allocate(2, after=2) == [3, 4]
    assert pool.allocate(1, after=8) == [9]


def test_without_a_run_of_the_size_the_pieces_are_as_large_as_can_be() -> None:
    pool = BlockPool(8)
    taken = pool.allocate(8)
    assert taken is not None
    pool.release([0, 1, 2, 4, 6, 7])
    assert pool.allocate(4) == [0, 1, 6, 7]
    assert pool.allocate(3) is None
    assert pool.allocate(2) == [2, 4]


def test_known_content_is_found_shared_and_given_up_last() -> None:
    pool = BlockPool(4)
    names = keys(2)
    blocks = published(pool, names)
    assert (pool.free, pool.cached, pool.available) == (2, 2, 4)
    assert pool.match([*names, b"unknown"]) == blocks
    assert pool.match([b"unknown", *names]) == []
    assert pool.available_beside(blocks) == 2
    pool.share(blocks)
    assert pool.available == 2
    assert pool.allocate(2) == [2, 3]
    assert pool.match(names) == blocks


def test_the_end_of_the_least_recently_used_chain_goes_first() -> None:
    pool = BlockPool(16)
    old, new = keys(16)[:8], keys(16)[8:]
    published(pool, old)
    new_blocks = published(pool, new)
    pool.share(pool.match(old))
    pool.release(pool.match(old))
    taken = pool.allocate(8)
    assert sorted(taken or []) == new_blocks
    assert pool.match(new) == []
    assert len(pool.match(old)) == 8


def test_eviction_takes_a_chain_from_its_end() -> None:
    pool = BlockPool(12)
    names = keys(12)
    published(pool, names)
    assert pool.allocate(1) is not None
    assert len(pool.match(names)) == 4


def test_equal_content_is_published_once() -> None:
    pool = BlockPool(2)
    blocks = pool.allocate(2)
    assert blocks == [0, 1]
    pool.publish(0, b"same")
    pool.publish(1, b"same")
    pool.release(blocks)
    assert (pool.free, pool.cached) == (1, 1)
    assert pool.match([b"same"]) == [0]


def test_forgotten_content_is_free_once_released() -> None:
    pool = BlockPool(1)
    blocks = pool.allocate(1)
    assert blocks == [0]
    pool.publish(0, b"bad")
    pool.forget(blocks)
    pool.release(blocks)
    assert pool.match([b"bad"]) == []
    assert pool.free == 1


def test_without_prefix_cache_nothing_is_published() -> None:
    pool = BlockPool(2, prefix_cache=False)
    published(pool, keys(2))
    assert (pool.free, pool.cached) == (2, 0)


def test_integrity_names_a_reference_too_many_and_one_too_few() -> None:
    pool = BlockPool(3)
    blocks = pool.allocate(2)
    assert blocks == [0, 1]
    pool.check_integrity([0, 1])
    with pytest.raises(InternalError, match="block 1 counts 1 references, 0 are held"):
        pool.check_integrity([0])
    with pytest.raises(InternalError, match="block 0 counts 1 references, 2 are held"):
        pool.check_integrity([0, 0, 1])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_sequence_of_calls_keeps_the_accounts(data: st.DataObject) -> None:
    pool = BlockPool(data.draw(st.integers(1, 24)))
    names = keys(12)
    held: list[list[int]] = []
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["allocate", "release", "publish", "share", "forget"]))
        if action == "allocate":
            count, before = data.draw(st.integers(0, 8)), pool.available
            after = data.draw(st.one_of(st.none(), st.integers(0, pool.total - 1)))
            blocks = pool.allocate(count, after=after, room=data.draw(st.integers(0, 8)))
            assert (blocks is None) == (count > before)
            if blocks is not None:
                assert len(set(blocks)) == count
                held.append(blocks)
        elif action == "share":
            known = pool.match(names[: data.draw(st.integers(0, 12))])
            pool.share(known)
            held.append(known)
        elif held:
            blocks = data.draw(st.sampled_from(held))
            if action == "release":
                held.remove(blocks)
                pool.release(blocks)
            elif action == "forget":
                pool.forget(blocks)
            else:
                unnamed = [block for block in blocks if block not in pool.match(names)]
                for block, key in zip(unnamed, names, strict=False):
                    if not any(block in pool.match([other]) for other in names):
                        pool.publish(block, key)
        pool.check_integrity(block for blocks in held for block in blocks)
