"""The rehearsed bucket refuses and keeps what a real S3 store does, asked by the client that backups use."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opslib import config
from opslib.archive.access import Access
from opslib.archive.bucket import Answered, Bucket
from opslib.backup import objects
from opslib.backup.objects import Objects
from opslib.backup.reading import files
from opslib.config import System
from opslib.errors import Forbidden, SourceError
from opslib.sandbox import control
from tests.acting import perform

SYSTEM, AT_SUPABASE = "klutr", "kulti"
_numbers = itertools.count()


def reach() -> tuple[str, Access]:
    """Return the name of the rehearsed bucket, and how it is reached."""
    bucket = config.load_system(SYSTEM).environment("sandbox").bucket
    assert bucket is not None
    values = {name: secret.reveal() for name, secret in bucket.secrets.items()}
    return bucket.place.split("/")[2], Access(bucket.endpoint, bucket.region, **values)


@pytest.fixture
def there(sandbox: object) -> Iterator[Objects]:
    """An empty prefix of the bucket, emptied again."""
    name, access = reach()
    made = Objects(name, f"of-a-test-{next(_numbers)}-{os.getpid()}", access)
    yield made
    for key in made.listed():
        made.hide(key)
    assert made.listed() == {}


@pytest.mark.parametrize("wrong, code", [("key", "InvalidAccessKeyId"), ("secret", "SignatureDoesNotMatch")])
def test_another_key_and_another_secret_are_refused(there: Objects, wrong: str, code: str) -> None:
    """A rehearsal in which every key opens the door rehearses nothing."""
    name, access = reach()
    other = Objects(name, "x", replace(access, **{wrong: "wrong"}))
    with pytest.raises(Forbidden, match=code):
        other.listed()
    with pytest.raises(Forbidden, match=code):
        other.send("y", Path(__file__))


def signed(method: str, path: str, body: bytes) -> AWSRequest:
    """Return a request as the vendor's own library signs it."""
    name, access = reach()
    request = AWSRequest(method, f"{access.endpoint}/{name}/{path}", data=body)
    S3SigV4Auth(Credentials(access.key, access.secret), "s3", access.region).add_auth(request)
    return request


def test_what_was_not_signed_is_not_done(there: Objects) -> None:
    """No signature, that of another name, and that of other bytes."""
    request = signed("PUT", there.prefix + "a", b"right")
    told = dict(request.headers.items())
    assert httpx.put(request.url, content=b"right").status_code == 403
    assert "SignatureDoesNotMatch" in httpx.put(request.url + "b", content=b"right", headers=told).text
    assert "XAmzContentSHA256Mismatch" in httpx.put(request.url, content=b"wrong", headers=told).text
    assert there.listed() == {}
    assert httpx.put(request.url, content=b"right", headers=told).status_code == 200
    assert there.read("a") == b"right"


def test_a_bucket_that_is_not_there_is_called_so(there: Objects) -> None:
    """It is another trouble than a key without rights."""
    with pytest.raises(SourceError, match="no such bucket"):
        Objects("no-such-bucket", "x", reach()[1]).send("y", Path(__file__))


def test_an_object_is_put_once_and_only_as_it_was_sent(there: Objects) -> None:
    """Nothing is put over another one where the client says so, and a sum that does not fit ends it."""
    assert there.create("a", b"first") and not there.create("a", b"second")
    assert there.read("a") == b"first" and there.read("b") is None
    with pytest.raises(Answered, match="BadDigest"):
        there._call("put_object", Key=there.prefix + "c", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    there.replace("a", b"third")
    assert there.read("a") == b"third" and [one.id for one in there.versions("a")] == ["null"]
    assert "Status" not in there._call("get_bucket_versioning"), "nobody has switched versions on"


def test_a_large_file_goes_there_in_parts_and_comes_back_whole(
    there: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when all parts are there, and as large as they must be, is it an object."""
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(os.urandom((11 << 20) + 7))
    sent = there.send("large", path)
    assert sent.endswith("-3")
    file = files(tmp_path)["large"]
    assert there.has("large", file.bytes, sent, file.sha256) and there.has(
        "large", file.bytes, "", file.sha256
    )
    assert not there.has("large", file.bytes, "", "0" * 64)
    monkeypatch.setattr(objects, "PART_BYTES", 4 << 20)
    with pytest.raises(SourceError, match="EntityTooSmall"):
        there.send("small", path)
    assert list(there.listed()) == ["large"], "what broke off is no object"


def test_a_listing_goes_on_from_page_to_page_whatever_names_hold(
    there: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names with signs that mean something in an address, in pages of two."""
    names = ["a b", "a+b", "a%20b", "a&b=c", "ä/ö", "z"]
    for name in names:
        assert there.create(name, name.encode())
    call = Bucket._call

    def in_pages(self: Bucket, method: str, **words: object) -> object:
        return call(self, method, **({**words, "MaxKeys": 2} if method.startswith("list") else words))

    monkeypatch.setattr(Bucket, "_call", in_pages)
    assert set(there.listed()) == set(names) == {one.name for one in there.versions("")}
    assert {name: there.read(name) for name in names} == {name: name.encode() for name in names}


def test_healing_puts_copies_and_the_vendors_backups_back_as_they_were(
    sandbox: object, tmp_path: Path
) -> None:
    """Object by object, and a look at all of it finds a good day."""
    control.backups(SYSTEM)
    name, access = reach()
    copies = Bucket(name, "databases", access)
    before = copies.listed()
    assert before
    for scenario in ("bucket-copy-stale", "bucket-copy-missing", "bucket-copy-damaged"):
        control.break_(scenario, SYSTEM)
        assert copies.listed() != before
        control.heal(scenario, SYSTEM)
        assert copies.listed() == before
    control.break_("bucket-refuses", SYSTEM)
    for scenario in ("vendor-backup-stale", "vendor-backups-off"):
        control.break_(scenario, AT_SUPABASE)
    control.heal()
    assert copies.listed() == before
    for system in (SYSTEM, AT_SUPABASE):
        assert perform("backup-check", system, tmp_path)["verdict"] == "ok"


def test_only_the_systems_that_copy_their_backups_have_a_bucket(sandbox: object) -> None:
    """Elsewhere the step is skipped, as in production."""
    found: list[System] = [config.load_system(name) for name in config.list_systems()]
    assert [one.name for one in found if one.environment("sandbox").bucket] == [SYSTEM]
