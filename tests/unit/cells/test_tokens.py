"""The access token: what is accepted, what is refused, and how keys come to be."""

import base64
import hashlib
import hmac
import json
import multiprocessing
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cells.tokens import (
    MAX_TOKEN_CHARS,
    Claims,
    KeyFolderError,
    Keyring,
    TokenInvalid,
    Verifier,
    load_or_create_keys,
    thumbprint,
)

NOW = 1_800_000_000_000
LIFE = 600_000


@pytest.fixture
def private() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def keyring(private) -> Keyring:
    return Keyring(private, {})


def payload(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": "titan",
        "aud": "titan",
        "sub": "usr_1",
        "role": "buyer",
        "sid": "s1",
        "name": "Ada",
        "iat": NOW // 1000,
        "exp": (NOW + LIFE) // 1000,
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


def forge(key: Ed25519PrivateKey, claims: dict[str, Any], **headers: Any) -> str:
    """Sign with the genuine key, so that only the named difference can be the reason to refuse."""
    head = {"alg": "EdDSA", "typ": "at+jwt", "kid": thumbprint(key.public_key()), **headers}
    signing_input = f"{encode(head)}.{encode(claims)}"
    return f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"


def encode(value: object) -> str:
    return base64url(json.dumps(value).encode())


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refusal(keyring: Keyring, token: str, now: int = NOW) -> str:
    with pytest.raises(TokenInvalid) as caught:
        keyring.verifier().verify(token, now)
    return caught.value.code


def test_a_signed_token_comes_back_as_its_claims(keyring):
    token = keyring.issuer().sign(sub="usr_1", role="buyer", sid="s1", name="Ada", now_ms=NOW, life_ms=LIFE)

    claims = keyring.verifier().verify(token, NOW)

    assert claims == Claims(sub="usr_1", role="buyer", sid="s1", exp=NOW + LIFE, iat=NOW, name="Ada")


def test_the_forging_of_these_tests_is_accepted_when_nothing_is_changed(keyring, private):
    assert keyring.verifier().verify(forge(private, payload()), NOW).sub == "usr_1"


def test_alg_none_is_refused(keyring):
    token = f"{encode({'alg': 'none', 'typ': 'at+jwt', 'kid': keyring.kid})}.{encode(payload())}."

    assert refusal(keyring, token) == "unauthenticated"


def test_hs256_keyed_with_the_public_key_is_refused(keyring, private):
    public = private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    for secret in (pem, raw):
        head = {"alg": "HS256", "typ": "at+jwt", "kid": keyring.kid}
        signing_input = f"{encode(head)}.{encode(payload())}"
        mac = hmac.digest(secret, signing_input.encode(), hashlib.sha256)

        assert refusal(keyring, f"{signing_input}.{base64url(mac)}") == "unauthenticated"


@pytest.mark.parametrize("kid", ("unknown", "../../etc/passwd", "", None, 7, ["a"]))
def test_a_kid_outside_the_own_set_is_refused(keyring, private, kid):
    assert refusal(keyring, forge(private, payload(), kid=kid)) == "unauthenticated"


def test_another_key_under_our_kid_is_refused(keyring):
    stranger = Ed25519PrivateKey.generate()

    assert refusal(keyring, forge(stranger, payload(), kid=keyring.kid)) == "unauthenticated"


def test_a_key_the_token_brings_along_is_refused(keyring):
    stranger = Ed25519PrivateKey.generate()
    brought = Keyring(stranger, {}).jwks()["keys"][0]

    for headers in (
        {"jwk": brought},
        {"jku": "https://attacker.example/jwks.json"},
        {"x5u": "https://attacker.example/cert.pem"},
        {"x5c": ["MIIB"]},
    ):
        assert refusal(keyring, forge(stranger, payload(), **headers)) == "unauthenticated"
        assert refusal(keyring, forge(stranger, payload(), kid=keyring.kid, **headers)) == "unauthenticated"


@pytest.mark.parametrize("crit", (["b64"], ["exp"], [], None))
def test_a_critical_extension_is_refused(keyring, private, crit):
    assert refusal(keyring, forge(private, payload(), crit=crit, b64=True)) == "unauthenticated"


@pytest.mark.parametrize("typ", ("JWT", "rt+jwt", "AT+JWT", "application/at+jwt", "", None))
def test_another_type_such_as_a_refresh_token_is_refused(keyring, private, typ):
    assert refusal(keyring, forge(private, payload(), typ=typ)) == "unauthenticated"


@pytest.mark.parametrize(
    "changes",
    (
        {"iss": "other"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["titan", "other"]},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"sid": None},
        {"role": None},
        {"exp": None},
        {"exp": "never"},
        {"exp": 4e9},
        {"iat": None},
        {"nbf": NOW // 1000 + 1},
    ),
    ids=str,
)
def test_wrong_or_missing_claims_are_refused(keyring, private, changes):
    assert refusal(keyring, forge(private, payload(**changes))) == "unauthenticated"


def test_an_nbf_that_has_come_is_accepted(keyring, private):
    token = forge(private, payload(nbf=NOW // 1000))

    assert keyring.verifier().verify(token, NOW).sub == "usr_1"


def test_a_token_expires_at_exp_and_not_before(keyring, private):
    token = forge(private, payload())
    verifier = keyring.verifier()

    assert verifier.verify(token, NOW + LIFE - 1).exp == NOW + LIFE
    with pytest.raises(TokenInvalid) as caught:
        verifier.verify(token, NOW + LIFE)
    assert caught.value.code == "token_expired"


def test_an_expired_token_is_expired_to_a_verifier_that_never_saw_it(keyring, private):
    assert refusal(keyring, forge(private, payload()), NOW + LIFE) == "token_expired"


def test_an_expired_forgery_is_unauthenticated_and_learns_nothing(keyring):
    stranger = Ed25519PrivateKey.generate()

    assert refusal(keyring, forge(stranger, payload(), kid=keyring.kid), NOW + LIFE) == "unauthenticated"


def test_a_changed_payload_is_refused(keyring, private):
    head, _, signature = forge(private, payload()).split(".")

    assert refusal(keyring, f"{head}.{encode(payload(role='operator'))}.{signature}") == "unauthenticated"


@pytest.mark.parametrize(
    "token",
    (
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "x" * (MAX_TOKEN_CHARS + 1),
        base64url(b'{"a":' * 600) + ".e30.AA",
        base64url(b"[" * 2900) + ".e30.AA",
    ),
    ids=range(9),
)
def test_garbage_is_unauthenticated(keyring, token):
    assert refusal(keyring, token) == "unauthenticated"


def test_a_verified_token_is_not_verified_again(keyring, private):
    """The cache answers: with its keys taken away, the verifier still knows the token."""
    token = forge(private, payload())
    verifier = keyring.verifier()
    first = verifier.verify(token, NOW)
    verifier._keys.clear()

    assert verifier.verify(token, NOW) is first


def test_the_cache_is_bounded_and_forgets_the_least_recently_used(private):
    keyring = Keyring(private, {})
    verifier = Verifier(keyring.public, cache_entries=2)
    first, second, third = (forge(private, payload(sid=sid)) for sid in ("a", "b", "c"))
    for token in (first, second, first, third):
        verifier.verify(token, NOW)
    verifier._keys.clear()

    assert verifier.verify(first, NOW).sid == "a"
    assert verifier.verify(third, NOW).sid == "c"
    with pytest.raises(TokenInvalid):
        verifier.verify(second, NOW)


def test_an_expired_token_leaves_the_cache(keyring, private):
    token = forge(private, payload())
    verifier = keyring.verifier()
    verifier.verify(token, NOW)
    with pytest.raises(TokenInvalid):
        verifier.verify(token, NOW + LIFE)

    assert not verifier._verified


def test_the_thumbprint_is_that_of_rfc_8037():
    """The example key of RFC 8037, appendix A."""
    secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = Ed25519PrivateKey.from_private_bytes(secret)

    assert thumbprint(key.public_key()) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_published_key_set_verifies_our_tokens_with_a_stock_library(keyring):
    token = keyring.issuer().sign(sub="usr_1", role="buyer", sid="s1", name="Ada", now_ms=NOW, life_ms=LIFE)
    published = jwt.PyJWKSet.from_dict(keyring.jwks())[jwt.get_unverified_header(token)["kid"]]

    claims = jwt.decode(
        token, published, algorithms=["EdDSA"], audience="titan", options={"verify_iat": False}
    )

    assert claims["sub"] == "usr_1"


def test_keys_are_made_once_and_only_the_owner_may_read_them(tmp_path):
    folder = tmp_path / "keys"
    first = load_or_create_keys(folder)

    assert load_or_create_keys(folder).kid == first.kid
    assert [path.name for path in folder.iterdir()] == ["signing.pem"]
    assert (folder / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def _kid(folder: str) -> str:
    return load_or_create_keys(folder).kid


def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    folder = str(tmp_path / "keys")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        kids = pool.map(_kid, [folder] * 12, chunksize=1)

    assert set(kids) == {load_or_create_keys(folder).kid}
    assert [path.name for path in Path(folder).iterdir()] == ["signing.pem"]


def test_a_signing_key_open_to_others_is_refused_with_the_command_that_mends_it(tmp_path):
    load_or_create_keys(tmp_path)
    (tmp_path / "signing.pem").chmod(0o644)

    with pytest.raises(KeyFolderError, match="chmod 600"):
        load_or_create_keys(tmp_path)


@pytest.mark.parametrize("name", ("signing.pem", "retired.pub"))
def test_a_damaged_key_is_named(tmp_path, name):
    load_or_create_keys(tmp_path)
    (tmp_path / name).write_text("not a key")
    (tmp_path / name).chmod(0o600)

    with pytest.raises(KeyFolderError, match=name):
        load_or_create_keys(tmp_path)


def test_a_public_key_beside_the_signing_key_verifies_and_is_published(tmp_path, private):
    public = private.public_key()
    (tmp_path / "c2.pub").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    keyring = load_or_create_keys(tmp_path)

    assert keyring.verifier().verify(forge(private, payload()), NOW).sub == "usr_1"
    assert thumbprint(public) in {key["kid"] for key in keyring.jwks()["keys"]}
