"""How much a cell may say: the first part is kept, the rest is counted, and the record says so."""

from __future__ import annotations

from typing import Any

STREAM_MOST = 500_000
DATA_MOST = 5_000_000
_DATA = {"display_data", "execute_result", "update_display_data"}


class Budget:
    """The outputs of one cell.

    Streams are kept up to `STREAM_MOST` characters, rich outputs up to `DATA_MOST` in all.
    """

    def __init__(self) -> None:
        self._stream = 0
        self._data = 0
        self._left_out = 0

    def takes(self, msg: dict[str, Any]) -> bool:
        """Say whether a message still fits; a stream message that fits in part is cut."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            return self._take_text(content)
        if msg["msg_type"] in _DATA:
            return self._take_data(content)
        return True

    def close(self, cell: Any) -> None:
        """Put a notice under the outputs if anything was left out."""
        if not self._left_out:
            return
        from nbformat import v4

        said = f"[opslib] output cut: {self._left_out:,} characters left out of this cell\n"
        cell.outputs.append(v4.new_output("stream", name="stderr", text=said))

    def _take_text(self, content: dict[str, Any]) -> bool:
        room = STREAM_MOST - self._stream
        text = content["text"]
        self._stream += len(text)
        if len(text) <= room:
            return True
        self._left_out += len(text) - max(room, 0)
        content["text"] = text[: max(room, 0)]
        return room > 0

    def _take_data(self, content: dict[str, Any]) -> bool:
        size = sum(len(value) for value in content["data"].values() if isinstance(value, str))
        if self._data + size > DATA_MOST:
            self._left_out += size
            return False
        self._data += size
        return True
