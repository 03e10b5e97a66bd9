"""Accounts over HTTP, on a real cell."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.integration.conftest import PASSWORD, Person

REGISTRATION = {"password": PASSWORD, "display_name": "Mia", "role": "buyer"}


def address() -> str:
    return f"{os.urandom(6).hex()}@example.com"


async def test_a_registration_signs_in(register):
    mia = await register("merchant", display_name="Mia")

    me = await mia.ask("GET", "/api/v1/me")

    assert me.status_code == 200
    assert me.json() == mia.user
    assert set(mia.user) == {"id", "email", "display_name", "role", "created_at"}
    assert mia.user["id"].startswith("mer_")
    assert mia.session["expires_in"] == 600


async def test_an_address_registers_once_however_it_is_written_and_however_many_try(api):
    email = address()
    tries = [{**REGISTRATION, "email": email.upper() if i % 2 else email} for i in range(8)]

    answers = await asyncio.gather(*(api.post("/api/v1/auth/register", json=body) for body in tries))

    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"email_taken"}


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(api, register):
    mia = await register()
    wrong = await api.post(
        "/api/v1/auth/login", json={"email": mia.user["email"], "password": "not this one"}
    )
    unknown = await api.post("/api/v1/auth/login", json={"email": address(), "password": "not this one"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "bad_credentials"


async def test_a_login_finds_the_account_in_any_case(api, register):
    mia = await register()

    answer = await api.post(
        "/api/v1/auth/login", json={"email": mia.user["email"].upper(), "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert answer.json()["user"] == mia.user


async def test_an_exchanged_refresh_token_ends_its_family(api, register):
    mia = await register()
    old = {"refresh_token": mia.session["refresh_token"]}
    fresh = (await api.post("/api/v1/auth/refresh", json=old)).json()

    reuse = await api.post("/api/v1/auth/refresh", json=old)

    assert reuse.status_code == 401
    assert "used before" in reuse.json()["detail"]
    for token in (fresh["refresh_token"], old["refresh_token"]):
        dead = await api.post("/api/v1/auth/refresh", json={"refresh_token": token})
        assert dead.status_code == 401
    assert (await mia.ask("GET", "/api/v1/me")).status_code == 401


async def test_of_parallel_refreshes_at_most_one_wins(api, register):
    mia = await register()
    body = {"refresh_token": mia.session["refresh_token"]}

    answers = await asyncio.gather(*(api.post("/api/v1/auth/refresh", json=body) for _ in range(6)))

    assert sorted(a.status_code for a in answers) == [200] + [401] * 5


@pytest.mark.parametrize("how", ("refresh token", "access token"))
async def test_a_logout_ends_the_session_and_its_access_token(api, register, how):
    mia = await register()
    body = {"refresh_token": mia.session["refresh_token"]} if how == "refresh token" else {}
    headers = {} if how == "refresh token" else mia.headers

    answer = await api.post("/api/v1/auth/logout", json=body, headers=headers)

    assert (answer.status_code, answer.json()) == (200, {"ended": True})
    assert (await mia.ask("GET", "/api/v1/me")).status_code == 401
    again = await api.post("/api/v1/auth/refresh", json={"refresh_token": mia.session["refresh_token"]})
    assert again.status_code == 401


async def test_a_logout_without_a_body_takes_the_access_token(register):
    mia = await register()

    assert (await mia.ask("POST", "/api/v1/auth/logout")).status_code == 200
    assert (await mia.ask("GET", "/api/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "fields",
    (
        {"role": "admin"},
        {"role": "operator"},
        {"password": "short"},
        {"email": "not an address"},
        {"display_name": "\u202etxt.exe"},
        {"display_name": "  "},
        {"user_id": "usr_1"},
        {"price": 1},
        {"email": 5},
        {"email": None},
    ),
)
async def test_a_registration_takes_nothing_else(api, fields):
    answer = await api.post("/api/v1/auth/register", json={**REGISTRATION, "email": address(), **fields})

    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert answer.headers["titan-outcome"] == "not-applied"


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


async def forged_tokens(api: httpx.AsyncClient, mia: Person) -> AsyncIterator[str]:
    head, payload, signature = mia.session["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    key = (await api.get("/.well-known/jwks.json")).json()["keys"][0]
    own = jwt.PyJWK(key).key
    pem = own.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield f"{encoded({**header, 'alg': 'none'})}.{payload}."
    for secret in (pem, key["x"].encode()):
        signing = f"{encoded({**header, 'alg': 'HS256'})}.{payload}"
        mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing.encode(), secret)
        yield f"{signing}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    yield f"{encoded({**header, 'kid': '../../signing.pem'})}.{payload}.{signature}"
    yield f"{encoded({**header, 'jwk': key})}.{payload}.{signature}"
    yield f"{encoded({**header, 'crit': ['x'], 'x': 1})}.{payload}.{signature}"
    yield f"{head}.{encoded({**claims, 'role': 'merchant'})}.{signature}"
    yield f"{head}.{payload}.{signature[:-4]}AAAA"
    yield mia.session["refresh_token"]
    yield "x" * 5000
    yield "tk_" + "0" * 35 + "." + "A" * 43


async def test_a_forged_token_opens_nothing(api, register):
    mia = await register()

    async for token in forged_tokens(api, mia):
        answer = await api.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})

        assert answer.status_code == 401, token[:80]
        assert answer.json()["code"] == "unauthenticated"
        assert "bearer" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize("header", ("", "Bearer", "Basic bWlhOm1pYQ==", "Token x", "bearer a b"))
async def test_what_is_no_bearer_token_is_refused(api, header):
    assert (await api.get("/api/v1/me", headers={"authorization": header})).status_code == 401


async def test_an_operator_key_is_made_listed_and_revoked(cell, api):
    made = cell.titan("operator", "create", "ana", "--role", "admin")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    headers = {"authorization": f"Bearer {key}"}

    assert (await api.get("/api/v1/me", headers=headers)).status_code == 403
    assert "ana" in cell.titan("operator", "list").stdout
    assert key.split(".")[1] not in cell.titan("operator", "list").stdout
    assert cell.titan("operator", "create", "ana").returncode == 1
    assert cell.titan("operator", "revoke", "ana").returncode == 0

    statuses = [(await api.get("/api/v1/me", headers=headers)).status_code]
    for _ in range(40):
        if statuses[-1] == 401:
            break
        await asyncio.sleep(0.2)  # a finding about a key is kept for 5 seconds
        statuses.append((await api.get("/api/v1/me", headers=headers)).status_code)
    assert statuses[-1] == 401


async def test_no_secret_is_in_the_process_logs(cell, register):
    mia = await register()
    await mia.ask("GET", "/api/v1/me")

    written = b"".join(path.read_bytes() for path in (cell.data / "logs").iterdir())

    for secret in (PASSWORD, mia.session["access_token"], mia.session["refresh_token"]):
        assert secret.encode() not in written
