"""Password hashing under load."""

import asyncio

import pytest
from argon2 import PasswordHasher

from cells.kernel.errors import Rejected
from server.accounts.passwords import Passwords


@pytest.fixture
def passwords():
    made = Passwords(max_waiting=4)
    yield made
    made.close()


async def test_only_the_password_matches_its_hash(passwords):
    stored = await passwords.hash("correct horse")

    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "incorrect horse")
    assert not await passwords.verify("no hash at all", "correct horse")


async def test_an_unknown_address_matches_nothing(passwords):
    assert not await passwords.verify(None, "no account has this password")


async def test_a_full_line_refuses_instead_of_growing(passwords):
    found = await asyncio.gather(*(passwords.hash("correct horse") for _ in range(8)), return_exceptions=True)

    refused = [f for f in found if isinstance(f, Rejected)]
    assert len(refused) == 4
    assert {r.code for r in refused} == {"overloaded"}


async def test_a_hash_with_weaker_parameters_is_renewed(passwords):
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")

    newer = await passwords.newer(weak, "correct horse")

    assert newer is not None
    assert await passwords.verify(newer, "correct horse")
    assert await passwords.newer(newer, "correct horse") is None
