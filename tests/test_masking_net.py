"""The second net: shapes of keys and personal data go, ordinary outputs stay as they are."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path

import pytest

from opslib.masking import Masker

ROOT = Path(__file__).parents[1]
TEXTS = {".py", ".ipynb", ".md", ".sql", ".yml"}
LETTERS = string.ascii_letters + string.digits


def body(length: int, alphabet: str = LETTERS) -> str:
    """Return the same random characters for the same length: no key stands in this file."""
    return "".join(random.Random(length).choices(alphabet, k=length - 2)) + "a7"


def part(text: str) -> str:
    """Return base64url of a text, as in a token."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


KEYS = {
    "stripe-key": ["sk_live_51" + body(90), "rk_test_" + body(24), "whsec_" + body(32)],
    "clerk-key": ["sk_live_" + body(42)],
    "openai-key": ["sk-proj-" + body(48), "sk-" + body(48)],
    "anthropic-key": ["sk-ant-api03-" + body(60)],
    "supabase-key": ["sb_secret_" + body(31), "sbp_" + body(40, "0123456789abcdef")],
    "jwt": [part('{"alg":"HS256"}') + "." + part('{"role":"service_role"}') + "." + body(43)],
    "sentry-dsn": [f"https://{body(32, '0123456789abcdef')}@o12345.ingest.sentry.example/67890"],
    "sentry-token": ["sntrys_" + body(60)],
    "aws-key": ["AKIA" + "".join(random.Random(1).choices(string.ascii_uppercase + string.digits, k=16))],
    "github-token": ["ghp_" + body(36), "github_pat_" + body(82)],
    "slack-token": ["xoxb-" + body(50)],
    "vercel-token": ["vcp_" + body(40)],
    "neon-key": ["napi_" + body(64, string.ascii_lowercase + string.digits), "npg_" + body(16)],
    "doppler-token": ["dp.st.prd." + body(43)],
    "posthog-key": ["phx_" + body(43)],
    "google-key": ["AIza" + body(35)],
}
NAMED = {
    "slack-webhook": ("https://hooks.slack.com/services/", body(44), ""),
    "railway-token": ("RAILWAY_API_TOKEN=", "3f2b8c1e-9d47-4a6f-b05e-7c81d2e96a34", ""),
    "url-password": ("postgresql://app:", "plainword", "@db.example.com:5432/orders"),
    "password": ('{"password": "', "Tr0ub4dor-and-3", '"}'),
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in KEYS.items() for key in keys])
def test_a_key_that_nobody_registered_is_told_by_its_shape(kind: str, key: str) -> None:
    """In text, in JSON, and in base64, where nobody would see it."""
    masker = Masker(net=True, strict=True)
    assert masker.mask(f"got {key} from there") == f"got [redacted:{kind}] from there"
    assert masker.mask(json.dumps({"k": key})) == f'{{"k": "[redacted:{kind}]"}}'
    assert key not in base64.b64encode(key.encode()).decode()
    blob = base64.b64encode(f"key is {key}".encode()).decode()
    assert masker.mask(f"got {blob} from there") == f"got [redacted:{kind}] from there"
    assert masker.kinds == {kind: 3} and not masker.counts
    assert masker.quarantine == (kind,)


@pytest.mark.parametrize("kind", NAMED)
def test_of_a_named_or_placed_secret_only_the_secret_goes(kind: str) -> None:
    """The name and the server are what somebody will look for."""
    before, value, after = NAMED[kind]
    masker = Masker(net=True)
    assert masker.mask(f"{before}{value}{after}") == f"{before}[redacted:{kind}]{after}"
    assert masker.kinds == {kind: 1}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer {}", "Authorization: Bearer [redacted:password]"),
        ("curl -H 'X-Api-Key: {}'", "curl -H 'X-Api-Key: [redacted:password]'"),
        ("GET /v1?api_key={}&limit=5", "GET /v1?api_key=[redacted:password]&limit=5"),
        ("export DB_PASSWORD='{}'", "export DB_PASSWORD='[redacted:password]'"),
        ("tried redis://:{}@cache:6379/0", "tried redis://:[redacted:url-password]@cache:6379/0"),
        ("tried mysql://a:x@{}@db/x", "tried mysql://a:[redacted:url-password]@db/x"),
        ("tried mysql://a:x/{}@db/x", "tried mysql://a:[redacted:url-password]@db/x"),
        ('{{\\"client_secret\\": \\"{}\\"}}', '{\\"client_secret\\": \\"[redacted:password]\\"}'),
    ],
)
def test_what_stands_where_a_password_stands_goes(text: str, left: str) -> None:
    """A password has no shape, but a place."""
    assert Masker(net=True).mask(text.format("hK3pXq92vLw")) == left


def test_a_private_key_goes_from_its_first_line_to_its_last() -> None:
    """Also one whose end was cut off."""
    lines = "\n".join(body(64, LETTERS) for _ in range(3))
    block = f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"
    masker = Masker(net=True)
    assert masker.mask(f"found:\n{block}\nin id_rsa") == "found:\n[redacted:private-key]\nin id_rsa"
    assert "BEGIN" not in masker.mask(block[:-20])
    public = block.replace("PRIVATE", "PUBLIC")
    assert masker.mask(public) == public


PEOPLE = {
    "e-mail": ["jane.doe+ops@mail.example.org", "jane%40example.org"],
    "phone": ["+49 171 2345678", "+14155550123", "(415) 555-0123", "415-555-0123"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "card": ["4111 1111 1111 1111", "5500005555555559", "3782-822463-10005"],
    "ip-address": ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::8a"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PEOPLE.items() for text in texts])
def test_personal_data_goes_unless_the_policy_allows_it(kind: str, text: str) -> None:
    """A record is kept for years, and its readers need no customer's address."""
    said = f"user {text} signed in"
    masker = Masker(net=True, strict=True)
    assert masker.mask(said) == f"user [redacted:{kind}] signed in"
    assert masker.kinds == {kind: 1} and not masker.quarantine
    assert Masker(net=True, allow_personal=True).mask(said) == said
    assert Masker().mask(said) == said


@pytest.mark.parametrize(
    "text",
    [
        "write to support@vercel.com or git@github.com:acme/app.git",
        "postgresql://app@db.example.com:5432/orders and redis://cache.example.com:6379",
        "listening on 127.0.0.1:5432, 10.0.3.7, 192.168.1.20 and [::1]:8080, fe80::1",
        "version 4.0.3.1, psycopg==3.2.1.4, release v1.2.3.4, section 1.2.3.4.5",
        "from 10:15:30 to 11:20:45.123, 2026-11-21T10:00:00+00:00, took 00:00:12",
        "run 20261121T101530-4f2a, commit 4111111111111112, snowflake 1764000000123456789",
        "pid 12345-678-90, order 1234567890, 3782822463100056 rows, 4000000000000000 bytes",
        "password authentication failed for user app; token: required; secret: see vault",
        "password=os.environ['DB_PASSWORD'], token=secret(\"vercel2\"), api_key=settings.key1[0]",
        "PASSWORD=******** token=$TOKEN_2 secret=env:STRIPE_KEY_1 dsn=postgresql://app:***@db/x",
        "token_expires_at: 2026-11-21T10:00:00Z, token_type: bearer1x, secret_id=9f3c2a81bd04",
        "f'postgresql://{user1}:{password1}@{host}/db' sk-learn sk_live eyJ AKIA ghp_ https://x@y",
        "max_tokens=4096 passwords: 12 secrets checked, password_encryption = scram-sha-256",
        "GET https://npm.example.com:4873/@scope/package and http://[::1]:8080/a@b",
        "::add-mask:: Foo::bar, 1::2, account DE89 3704 0044 0532 0130 01",
        "<td>4111</td>\n<td>1111</td>\n<td>1111</td>\n<td>1111</td>",
    ],
)
def test_what_only_resembles_a_key_or_a_person_stays(text: str) -> None:
    """A net that hides times, versions and ids is switched off within a week."""
    masker = Masker(net=True)
    assert masker.mask(text) == text


def test_nothing_in_the_project_itself_is_taken_for_a_secret() -> None:
    """Code, runbooks, SQL and words: half a megabyte in which no key stands."""
    masker = Masker(net=True, allow_personal=True)
    folders = [ROOT / name for name in ("notebooks", "docs", "parameters", "opslib")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in TEXTS]
    texts = {str(path): path.read_text(encoding="utf-8") for path in files if "masking" not in path.parts}
    assert len(texts) > 100
    assert [name for name, text in texts.items() if masker.mask(text) != text] == []


def test_a_known_value_is_named_by_its_name_and_not_by_its_shape() -> None:
    """The name says which key it was; the shape only of whom."""
    key = KEYS["github-token"][0]
    masker = Masker({"deploy": key}, net=True, strict=True)
    assert masker.mask(f"token={key}") == "token=[redacted:deploy]"
    assert masker.counts == {"deploy": 1} and not masker.kinds and not masker.quarantine


def test_the_net_leaves_the_marks_of_earlier_maskings_alone() -> None:
    """Otherwise the name of a value is lost at the second look."""
    masker = Masker({"pg-password-1": "Tr0ub4dor-and-3"}, net=True)
    once = masker.mask("password=Tr0ub4dor-and-3 token: xoxb-" + body(50))
    assert once == "password=[redacted:pg-password-1] token: [redacted:slack-token]"
    assert masker.mask(once) == once
    assert Masker(net=True).mask(once) == once
    address = "postgresql://app:[redacted:of-another]@db/x"
    assert Masker(net=True).mask(address) == address


def test_a_record_is_told_what_was_found_and_no_value() -> None:
    """Names, kinds and numbers."""
    masker = Masker({"db": "Tr0ub4dor-and-3"}, net=True)
    masker.mask_json({"a": "Tr0ub4dor-and-3", "b": ["Tr0ub4dor-and-3 jane@example.org"]})
    assert masker.summary() == {"masked": {"db": 2}, "found": {"e-mail": 1}, "withheld": 0, "unscanned": {}}
