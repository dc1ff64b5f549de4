"""Files that a system keeps in buckets, and where their copies are, as its file describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from opslib.config.fields import Number, Part, Text, is_placeholder, wrong

SUPABASE, AWS, FOLDER = "supabase", "aws", "folder"


class CopyPlace(Part):
    """Where the copy of a bucket is.

    Args:
        at: `folder`, or the vendor that keeps it; `aws` for any store that speaks S3.
        folder: an absolute path; of a disk that does not go with the bucket.
        bucket: the other bucket.
        prefix: what stands before each name there.
    """

    at: Literal["folder", "supabase", "aws"]
    folder: str = ""
    bucket: str = ""
    prefix: str = ""

    @model_validator(mode="after")
    def _named(self) -> CopyPlace:
        if self.at == FOLDER and not (self.folder.startswith("/") or is_placeholder(self.folder)):
            raise wrong("a copy in a folder needs `folder`, an absolute path")
        if self.at != FOLDER and not self.bucket:
            raise wrong("a copy at a vendor needs `bucket`")
        return self


class FileBucket(Part):
    """A bucket of files.

    Args:
        what: what it holds.
        at: the vendor that keeps it; `aws` for any store that speaks S3.
        bucket: its name there.
        prefix: what stands before each name there.
        public: everybody is meant to read it.
        mutable: users change and remove files here, so that a difference from the copy is no loss by itself.
        copy_to: where its copy is; `copy` in the file.
        archive_after_days: files older than this belong into the copy alone; such a bucket is `mutable`.
        source: heading of the runbook.
    """

    what: Text
    at: Literal["supabase", "aws"]
    bucket: Text
    prefix: str = ""
    public: bool = Field(default=False, strict=True)
    mutable: bool = Field(default=False, strict=True)
    copy_to: CopyPlace | None = Field(default=None, alias="copy")
    archive_after_days: Number | None = Field(default=None, gt=0)
    source: Text

    @model_validator(mode="after")
    def _archived(self) -> FileBucket:
        if self.archive_after_days is not None and not (self.mutable and self.copy_to):
            raise wrong(
                "`archive_after_days` needs `copy`, and `mutable: true`: what is archived is missing here"
            )
        return self
