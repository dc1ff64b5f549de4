"""Large files in an S3 bucket: sent in parts, each with its sum, and compared with what the store has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opslib.archive.bucket import THERE_ALREADY, Answered, Bucket
from opslib.errors import Forbidden, SourceError

PART_BYTES = 32 << 20
KIND = "bucket"
_HINT = "see `backup_bucket` in the system's file; the backup on this machine stays as it is"
_REFUSALS = ("AccessDenied", "Invalid", "Signature", "Expired", "Authorization", "403", "401")
_FULL = ("Full", "Quota", "507", "EntityTooLarge")


class Objects(Bucket):
    """The objects below a prefix of a bucket, also those that are too large for the memory."""

    def send(self, name: str, path: Path) -> str:
        """Put a file; what breaks off on the way leaves no object, and what is there already is left.

        Returns:
            The sum that the store must have of it, as the store writes it.

        Raises:
            SourceError: the store refuses it, or does not answer.
        """
        if path.stat().st_size <= PART_BYTES:
            return self._at_once(name, path.read_bytes())
        return self._in_parts(name, path)

    def has(self, name: str, size: int, sum_: str, sha256: str) -> bool:
        """Tell whether an object is what it must be: by the store's own sum, else by reading every byte.

        Args:
            name: of the object.
            size: bytes.
            sum_: the sum as the store writes it; "" where it is not known.
            sha256: over the content.

        Raises:
            SourceError: the store refuses, or does not answer.
        """
        about = self._asked("head_object", name, ChecksumMode="ENABLED")
        if about["ContentLength"] != size:
            return False
        whole = base64.b64encode(bytes.fromhex(sha256)).decode()
        known = about.get("ChecksumSHA256")
        if known and known in (sum_, whole):
            return True
        return self._digest(name, size) == sha256

    def receive(self, name: str, size: int, path: Path) -> str:
        """Read an object into a new file, part by part; return SHA-256 over what came.

        Args:
            name: of the object.
            size: bytes that it has.
            path: where it goes; its folder is there.

        Raises:
            SourceError: the store refuses, or does not answer.
        """
        digest = hashlib.sha256()
        with path.open("xb") as file:
            for content in self._read(name, size):
                file.write(content)
                digest.update(content)
        return digest.hexdigest()

    def gone(self, name: str) -> str:
        """Remove every version of an object for good; return why one stays, or nothing.

        Raises:
            SourceError: the store refuses to list them, or does not answer.
        """
        kept = [one for one in self.versions(name) if one.name == name and not self.remove(one)]
        return f"the store does not let {name} be removed (Object Lock, or no right to)" if kept else ""

    def _at_once(self, name: str, content: bytes) -> str:
        with self._told(name):
            try:
                self._call(
                    "put_object",
                    Key=self.prefix + name,
                    Body=content,
                    IfNoneMatch="*",
                    ChecksumSHA256=_sum(content),
                )
            except Answered as answer:
                if answer.code not in THERE_ALREADY:  # from a try that broke off; the caller compares it
                    raise
        return _sum(content)

    def _in_parts(self, name: str, path: Path) -> str:
        begun = self._asked("create_multipart_upload", name, ChecksumAlgorithm="SHA256")
        upload = {"UploadId": begun["UploadId"]}
        try:
            parts = []
            for number, content in enumerate(_blocks(path), 1):
                told = {"PartNumber": number, "ChecksumSHA256": _sum(content)}
                sent = self._asked("upload_part", name, Body=content, **upload, **told)
                parts.append({"ETag": sent["ETag"], **told})
            self._asked("complete_multipart_upload", name, MultipartUpload={"Parts": parts}, **upload)
        except SourceError:
            self._abandon(name, upload)
            raise
        sums = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in parts)
        return f"{_sum(sums)}-{len(parts)}"

    def _abandon(self, name: str, upload: Mapping[str, Any]) -> None:
        try:
            self._asked("abort_multipart_upload", name, **upload)
        except SourceError:
            return  # it is no object; the bucket's own rule for unfinished uploads clears it away

    def _digest(self, name: str, size: int) -> str:
        digest = hashlib.sha256()
        for content in self._read(name, size):
            digest.update(content)
        return digest.hexdigest()

    def _read(self, name: str, size: int) -> Iterator[bytes]:
        for start in range(0, size, PART_BYTES):
            with self._told(name):
                where = {"start": start, "end": min(start + PART_BYTES, size)}
                content = self._files.cat_file(f"{self.name}/{self.prefix}{name}", **where)
            yield bytes(content)

    def _asked(self, method: str, name: str, **words: Any) -> Mapping[str, Any]:
        with self._told(name):
            return self._call(method, Key=self.prefix + name, **words)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn an answer that refuses into an error."""
        try:
            with self._plainly():
                yield
        except Answered as answer:
            raise self._refused(answer, name) from None

    def _refused(self, answer: Answered, what: str) -> SourceError:
        code = answer.code
        if code == "NoSuchBucket":
            return SourceError(f"{self}: there is no such bucket", kind=KIND, hint=_HINT)
        if any(word in code for word in _REFUSALS):
            return Forbidden(f"{self}: {what}: the store refuses these credentials ({code})", hint=_HINT)
        why = "the store is full" if any(word in code for word in _FULL) else "the store refuses"
        return SourceError(f"{self}: {what}: {why} ({code})", kind=KIND, hint=_HINT)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as content:
        while block := content.read(PART_BYTES):
            yield block


def _sum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
