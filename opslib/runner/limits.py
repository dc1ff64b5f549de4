"""How much a cell may say: what is too much is left out, and the record says how much that was.

Of a stream the beginning and the end are kept: a log tells at its end what went wrong. Secrets are
looked for across a cut before it is made, because half a secret would not be found afterwards.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from opslib.masking import Masker
from opslib.runner.results import RUN_MIME

STREAM_HEAD = 150_000
STREAM_TAIL = 50_000
TEXT_MOST = 1_000_000
PICTURE_MOST = 5_000_000
OUTPUTS_MOST = 1_000
ERROR_MOST = 20_000
_MARGIN = 4_096  # longer than any form of a secret, so that one at a cut is seen whole
_DATA = {"display_data", "execute_result", "update_display_data"}

Outputs = list[Any]


class Budget:
    """The outputs of one cell; all sizes are in characters.

    Args:
        masker: looks for secrets where something is cut.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._said: Counter[str] = Counter()
        self._held: dict[str, _Held] = {}
        self._rest: tuple[str, str] | None = None
        self._spent: Counter[bool] = Counter()
        self._left_out = 0

    def takes(self, msg: dict[str, Any], outputs: Outputs) -> bool:
        """Say whether a message still fits; what of it does not fit is taken out of it.

        Args:
            msg: the kernel's message.
            outputs: the outputs that the cell has so far.
        """
        content, kind = msg["content"], msg["msg_type"]
        if kind == "stream":
            return self._take_text(content, outputs)
        if kind in _DATA:
            return self._take_data(content, kind == "update_display_data", len(outputs))
        if kind == "error":
            self._take_error(content)
        return True

    def keep_rest(self, outputs: Outputs) -> None:
        """Hold what the last message had too much, for the end of its stream."""
        if self._rest is None:
            return
        (name, text), self._rest = self._rest, None
        if name not in self._held:
            from nbformat import v4

            self._held[name] = _Held(v4.new_output("stream", name=name, text=""))
            outputs.append(self._held[name].output)
        self._held[name].add(text)

    def close(self, outputs: Outputs) -> None:
        """Put the ends of streams in their places, and a notice under the outputs if others were left out."""
        for name, held in self._held.items():
            before = [o for o in outputs if o.output_type == "stream" and o.name == name]
            held.settle([o for o in before if o is not held.output], self._masker)
        if self._left_out:
            from nbformat import v4

            said = f"[opslib] output cut: {self._left_out:,} characters left out of this cell\n"
            outputs.append(v4.new_output("stream", name="stderr", text=said))

    def _take_text(self, content: dict[str, Any], outputs: Outputs) -> bool:
        name, text = content["name"], content["text"]
        room = self._room(name, outputs)
        if room < len(text):
            self._rest = (name, text[room:])
        content["text"] = text[:room]
        self._said[name] += len(content["text"])
        return bool(content["text"])

    def _room(self, name: str, outputs: Outputs) -> int:
        """Return how much more the beginning of a stream may have."""
        joins = bool(outputs) and outputs[-1].output_type == "stream" and outputs[-1].name == name
        if name in self._held or (len(outputs) >= OUTPUTS_MOST and not joins):
            return 0
        return max(STREAM_HEAD - self._said[name], 0)

    def _take_data(self, content: dict[str, Any], replaces: bool, outputs: int) -> bool:
        """Keep the small forms of an output where the large ones do not fit; the typed result always."""
        data = content["data"]
        full = outputs >= OUTPUTS_MOST and not replaces
        sizes = {mime: _size(value) for mime, value in data.items()}
        for mime, size in sorted(sizes.items(), key=lambda item: item[1]):
            picture = mime.startswith("image/")
            spent = 0 if replaces else self._spent[picture]
            if mime != RUN_MIME and (full or spent + size > (PICTURE_MOST if picture else TEXT_MOST)):
                self._left_out += size
                del data[mime]
            elif not replaces:
                self._spent[picture] += size
        return bool(data)

    def _take_error(self, content: dict[str, Any]) -> None:
        content["evalue"] = shortened(self._masker.mask(content["evalue"]), ERROR_MOST)
        trace = "\n".join(content["traceback"])
        if len(trace) > ERROR_MOST:
            content["traceback"] = [shortened(self._masker.mask(trace), ERROR_MOST)]


class _Held:
    """What a stream said after its first part was full: its next characters, and its last."""

    def __init__(self, output: Any) -> None:
        self.output = output
        self._next = ""
        self._last = ""
        self._size = 0

    def add(self, text: str) -> None:
        self._size += len(text)
        room = _MARGIN - len(self._next)
        self._next += text[:room]
        self._last += text[room:]
        most = STREAM_TAIL + _MARGIN
        if len(self._last) > 4 * most:
            self._last = self._last[-most:]

    def settle(self, before: Outputs, masker: Masker) -> None:
        """Write the stream's end into its output; `before` are the outputs with its beginning."""
        whole = self._next + self._last
        if len(whole) == self._size <= STREAM_TAIL:
            self.output.text = whole
            return
        texts = masker.mask_pieces([*(o.text for o in before), self._next])
        for output, text in zip(before, texts, strict=False):
            output.text = text
        known = whole if len(whole) == self._size else self._last
        _, tail = masker.mask_pieces([known[:-STREAM_TAIL], known[-STREAM_TAIL:]])
        said = f"[opslib] output cut: {self._size - STREAM_TAIL:,} characters left out here"
        self.output.text = f"\n{said}\n{tail}"


def shortened(text: str, most: int) -> str:
    """Return a text of about `most` characters at most: its beginning, how much is missing, its end."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, default=str))
