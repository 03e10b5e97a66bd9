"""What leaves for a push service: RFC 8291's own example, the signature of RFC 8292, and keys that are kept."""

import stat

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cells.trouble import Trouble
from server.push.encryption import MAX_PLAINTEXT, encrypt, is_point
from server.push.vapid import CONTACT, Vapid
from tests.unit.server.notify.browser import Browser, raw, unpadded

OURS = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
THEIRS = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
    "EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_rfc_8291_comes_out_byte_for_byte():
    ours = ec.derive_private_key(int.from_bytes(raw(OURS), "big"), ec.SECP256R1())
    sealed = encrypt(b"When I grow up, I want to be a watermelon", raw(THEIRS), raw(AUTH), ours, raw(SALT))

    assert unpadded(sealed) == SEALED


def test_the_longest_message_fits_what_every_service_takes():
    browser, ours = Browser(), ec.generate_private_key(ec.SECP256R1())
    text = b'"' + b"x" * (MAX_PLAINTEXT - 2) + b'"'
    sealed = encrypt(text, browser.p256dh, browser.auth, ours, b"s" * 16)

    assert len(sealed) <= 4096
    assert browser.read(sealed) == "x" * (MAX_PLAINTEXT - 2)
    with pytest.raises(ValueError, match="at most"):
        encrypt(text + b" ", browser.p256dh, browser.auth, ours, b"s" * 16)


def test_only_points_of_the_curve_are_keys():
    assert is_point(raw(THEIRS))
    for wrong in (b"", b"\x04" + b"\x01" * 64, raw(THEIRS)[:-1], b"\x02" + raw(THEIRS)[1:33]):
        assert not is_point(wrong)


def test_the_key_is_made_once_is_private_and_signs(tmp_path):
    vapid = Vapid.of_cell(tmp_path, "mailto:ops@example.com", "http://127.0.0.1")
    again = Vapid.of_cell(tmp_path, "", "http://127.0.0.1")
    path = tmp_path / "keys" / "vapid.pem"

    assert vapid.public == again.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header = vapid.authorization("https://push.example", 1_800_000_000_000)
    token, key = header.removeprefix("vapid t=").split(", k=")
    assert key == vapid.public
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(key))
    claims = jwt.decode(
        token, public, algorithms=["ES256"], audience="https://push.example", options={"verify_exp": False}
    )
    assert claims["sub"] == "mailto:ops@example.com"
    assert 0 < claims["exp"] - 1_800_000_000 <= 24 * 3600
    assert again._contact == CONTACT
    path.chmod(0o644)
    with pytest.raises(Trouble):
        Vapid.of_cell(tmp_path, "", "")
