"""Overlapping calls end in any order; what comes of them does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from lfr_kernel.stages.ordering import Turns

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

pytestmark = pytest.mark.anyio


@given(st.permutations(range(6)), st.lists(st.sampled_from("ab"), min_size=6, max_size=6))
async def test_bodies_run_in_the_order_in_which_turns_were_taken(finishing: list[int], keys: list[str]) -> None:
    turns, done = Turns(), [anyio.Event() for _ in keys]
    order: dict[str, list[int]] = {"a": [], "b": []}

    async def work(number: int, turn: AbstractAsyncContextManager[None]) -> None:
        await done[number].wait()
        async with turn:
            order[keys[number]].append(number)

    async with anyio.create_task_group() as tasks:
        for number, key in enumerate(keys):
            tasks.start_soon(work, number, turns.take(key))
        for number in finishing:
            done[number].set()
            for _ in range(3):
                await checkpoint()
    assert order == {key: [number for number in range(6) if keys[number] == key] for key in "ab"}


async def test_a_body_that_fails_lets_the_next_one_in() -> None:
    turns = Turns()
    first, second = turns.take("a"), turns.take("a")
    with pytest.raises(RuntimeError, match="broken"):
        async with first:
            raise RuntimeError("broken")
    with anyio.fail_after(1):
        async with second:
            pass


async def test_a_key_does_not_wait_for_another_key() -> None:
    turns = Turns()
    turns.take("a")
    with anyio.fail_after(1):
        async with turns.take("b"):
            pass
