"""Secrets for notebooks to show in every way there is, and eyes that look for them in all that is left."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from PIL import Image

from tests import shop, small

# Known by the references of the system's file, or typed in; quotes and signs make each encoding another.
TOKEN = "acme_live_9fK2mQ7xZ4pL8wR1tV6yB3nH5jD0sG"
PASSWORD = 'kW3"v/Yt8&Rq5+zLm1<J'
TYPED = "Zq8-typed-by-hand-T5mX2"
# Nobody has registered these: only what they look like gives them away.
KEY = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
LINK = "u7Xk29fPzQw4hVb"
MAIL = "ada.king@lovelace-family.org"
PHONE = "+44 20 7946 0958"
# Only the kernel gets it, from a vendor, and says so.
FORMER = "f0rmer-Vx83-of-the-vendor-kT2"
KNOWN = {"token": TOKEN, "password": PASSWORD, "typed": TYPED, "former": FORMER}
FOUND = {"key": KEY, "link": LINK, "mail": MAIL, "phone": PHONE}

SYSTEM = """title: Shop
owner: on-call
environments:
  production:
    database: {{direct: env:SHOP_DSN}}
vendors:
  doppler: {{token: env:SHOP_TOKEN, api_url: "{url}", settings: {{project: shop, config: prd}}}}
"""
SLOTS = """slots:
  - {id: often, procedure: breaks, system: shop, environment: production, cron: "* * * * *", owner: me}
"""
NOTE = '\nnote: str = ""  # what was typed'
DUE = "\ncount: int = 1  # how many, 1-9"
THEMES = ["monitoring"]
_SQUEEZED = (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda")
_TELLING = 9  # characters that stand nowhere by chance

OPENING = """
import base64, gzip, html, json, logging, os, subprocess, sys, time, traceback, warnings, zlib
from pathlib import Path
from urllib.parse import quote
from IPython import get_ipython
from psycopg.conninfo import conninfo_to_dict
TOKEN, DSN, VENDOR = os.environ["SHOP_TOKEN"], os.environ["SHOP_DSN"], os.environ["SHOP_VENDOR"]
PASSWORD, HALF = conninfo_to_dict(DSN)["password"], len(TOKEN) // 2
"""
BEGIN = """
import httpx, pandas, psycopg
from IPython.display import HTML, SVG, Markdown, display, update_display
from opslib import masking, start
ops = start("leaks", system=system, environment=environment)
"""
CHANNELS = {
    "environment": "print(dict(os.environ)); print(TOKEN, PASSWORD, DSN, note)",
    "pieces": """
for letter in TOKEN:
    print(letter, end="", flush=True); print(".", end="", file=sys.stderr, flush=True)
print(); print(PASSWORD[:9]); print(PASSWORD[9:])""",
    "encodings": """
for value in (TOKEN, PASSWORD):
    raw = value.encode()
    print(base64.b64encode(b"x:" + raw), base64.urlsafe_b64encode(raw), raw.hex(), quote(value, safe=""))
    print(json.dumps({"v": json.dumps(value)}), html.escape(value), repr(raw), value[::-1])
    print(base64.b64encode(gzip.compress(raw)).decode(), base64.b64encode(base64.b64encode(raw)).decode())""",
    "terminal": r"""
print("\x1b(B\x1b[m".join(TOKEN)); print("\x02".join(TOKEN)); print("".join(c + "\b" + c for c in TOKEN))
print("\x1b]8;;http://127.0.0.1/" + "x" * 900 + "\x07" + TOKEN[:9] + "\x1b]8;;\x07" + TOKEN[9:])""",
    "native code": """
os.write(1, f"{TOKEN}\\n".encode()); os.write(2, PASSWORD.encode() + b"\\n")
print(subprocess.run([sys.executable, "-c", "import os; print(os.environ['SHOP_DSN'])"],
                     capture_output=True, text=True).stdout)
subprocess.run([sys.executable, "-c", "import os; print(os.environ['SHOP_TOKEN'])"])
get_ipython().system("echo $SHOP_TOKEN $SHOP_DSN")""",
    "logs": """
logging.basicConfig(level=logging.INFO)
logging.getLogger("opslib.evidence").warning("cannot use %s", TOKEN)
warnings.warn(f"old password {PASSWORD}")
print(f"https://robot:{link()}@git.example.net/shop.git", file=sys.stderr)""",
    "rows": """
with psycopg.connect(DSN) as connection:
    rows = connection.execute("select mail, phone, note from people").fetchall()
people = pandas.DataFrame(rows, columns=["mail", "phone", "note"])
display(people); print(people, rows)""",
    "database": """
for dsn in (DSN.replace("postgres:", "nobody:"), "postgresql://a:" + PASSWORD + "@127.0.0.1:1/x"):
    try: psycopg.connect(dsn, connect_timeout=2)
    except psycopg.Error as error: print(repr(error), dsn)
print(ops.pg.doors().to_string(), TOKEN)""",
    "vendor": """
answer = httpx.get(VENDOR + "/page", params={"api_key": TOKEN}, headers={"authorization": "Bearer " + TOKEN})
display(HTML(answer.text)); print(answer.headers, answer.reason_phrase, answer.url)
try: answer.raise_for_status()
except httpx.HTTPStatusError: traceback.print_exc()
names = ops.doppler.secret_names()
ops.check.none(names, check="names of secrets", expected="they can be read")""",
    "pictures": """
import io
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin
figure = Figure(figsize=(1, 1)); figure.suptitle(TOKEN); drawn = io.BytesIO()
figure.savefig(drawn, format="svg", metadata={"Title": PASSWORD})
display({"image/svg+xml": drawn.getvalue().decode(), "text/plain": f"<Figure {TOKEN}>"}, raw=True)
def png(**words):
    told, made = PngImagePlugin.PngInfo(), io.BytesIO()
    for name, value in words.items():
        told.add_text(name, mail()); told.add_text(f"{name}z", value, zip=True)
        told.add_itxt(f"{name}i", f"{value} {mail()}", zip=True)
    Image.new("RGB", (2, 2)).save(made, "PNG", pnginfo=told)
    return base64.b64encode(made.getvalue()).decode()
display({"image/png": png(), "text/plain": f"alt text {TOKEN}"}, raw=True)
display({"image/png": png(Title=TOKEN, Comment=PASSWORD), "text/plain": "two"}, raw=True)
display(HTML(f'<img alt="{TOKEN}" src="data:image/png;base64,{png(Author=TOKEN)}">'))""",
    "forms of one output": """
display({"text/plain": TOKEN, "application/json": {TOKEN: [PASSWORD]}, "text/latex": f"${TOKEN}$"},
        raw=True, metadata={"shown": {"to": TOKEN}}, display_id="first")
update_display({"text/markdown": f"**{PASSWORD}**", "text/plain": "x"}, raw=True, display_id="first")
short = [TOKEN[begin:begin + 7] for begin in range(0, len(TOKEN), 7)]
display({"text/html": ["<b>", *short, "</b>"], "text/plain": "lines"}, raw=True)
display(HTML(f"{TOKEN[:HALF]}<i title='{'x' * 900}'></i>{TOKEN[HALF:]}"))
display(HTML("<script>pass()</script>".join(short)))
TOKEN""",
    "widgets": """
from comm import create_comm
view = create_comm(target_name="jupyter.widget", data={"state": {"value": TOKEN}}, metadata={"version": "2"})
view.send({"method": "update", "state": {"value": PASSWORD}}, buffers=[TOKEN.encode()])
display({"application/vnd.jupyter.widget-view+json": {"model_id": TOKEN}, "text/plain": "widget"}, raw=True)
get_ipython().payload_manager.write_payload({"source": "set_next_input", "text": TOKEN, "replace": False})""",
    "what only the kernel knows": """
print("before it was known:", secret()); masking.register("former", secret()); print(secret())
display({"text/plain": secret()}, raw=True)""",
    "exceptions": """
shell = get_ipython(); shell.run_line_magic("xmode", "Verbose")
told = shell.run_cell("def deep(s):\\n raise RuntimeError('no ' + s) from KeyError(s)\\ndeep(TOKEN)")
told = shell.run_cell("raise KeyboardInterrupt(PASSWORD)")
told = shell.run_cell("open('/nowhere/' + TOKEN)")
told = shell.run_cell("input('password? ' + TOKEN)")
print(told)""",
    "finish": """
ops.check.below(50, check="age", warning=30, critical=40, subject=f"{TOKEN} of {mail()}",
                expected=f"not {PASSWORD}", why=f"{mail()} knows {TOKEN}")
ops.show.bar(pandas.DataFrame({"who": [TOKEN], "n": [1]}), "who", "n", title=PASSWORD)
ops.finish()""",
}
# The unregistered ones come from outside, so that the code of no cell holds them.
HELPERS = """
def mail():
    return psycopg.connect(DSN).execute("select mail from people").fetchone()[0]
def link():
    return httpx.get(VENDOR + "/link").text
def secret():
    return httpx.get(VENDOR + "/former").text
"""
BREAKS = """
def fail(secret):
    try: raise KeyError(secret)
    except KeyError as error: raise RuntimeError("cannot log in with " + secret) from error
get_ipython().run_line_magic("xmode", "Verbose"); print(TOKEN); fail(TOKEN)"""
TELLS = """print(TOKEN, PASSWORD, os.environ.get("OPSLIB_INPUT", "seen"), flush=True)"""
DIES = """
os.write(2, f"cannot go on with {TOKEN}, {os.environ['OPSLIB_INPUT']}\\n".encode()); os._exit(3)"""
PROCEDURES = {
    "leaks": (OPENING, BEGIN, HELPERS, *CHANNELS.values()),
    "breaks": (OPENING, BREAKS),
    "dies": (OPENING, TELLS, DIES),
    "slow": (OPENING, TELLS, "time.sleep(600)"),
    "hangs": (OPENING, TELLS, "time.sleep(600)"),
    "skipped": (OPENING,),
}


def build(root: Path, patch: pytest.MonkeyPatch, dsn: str, url: str) -> shop.Project:
    """Write a project whose notebooks show all that they know."""
    project = shop.build(root, patch)
    for name, value in {"SHOP_TOKEN": TOKEN, "SHOP_DSN": dsn, "SHOP_VENDOR": url}.items():
        patch.setenv(name, value)
    (root / "parameters" / "systems" / "shop.yml").write_text(SYSTEM.format(url=url), encoding="utf-8")
    project.schedule(SLOTS)
    for name, cells in PROCEDURES.items():
        path = small.procedure(project.notebooks, *cells, name=name).path
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"][1]["source"] += NOTE + DUE
        needs = {"vendors": ["posthog"]} if name == "skipped" else {}
        notebook["metadata"]["opslib"] |= {"controls": THEMES, "needs": needs}
        path.write_text(json.dumps(notebook), encoding="utf-8")
    return project


def vendor(request: BaseHTTPRequestHandler) -> None:
    """Answer as a vendor does that repeats all it was told, in each place that an answer has."""
    said = request.headers.get("authorization", "")
    if request.path.startswith("/link"):
        status, reason, body = 200, "OK", LINK
    elif request.path.startswith("/former"):
        status, reason, body = 200, "OK", FORMER
    elif request.path.startswith("/page"):
        status, reason = 500, f"cannot serve {said}"
        body = f"<h1>Error</h1><pre>{html.escape(said)} is not {KEY}; write to {MAIL}</pre>"
    else:
        status, reason = 403, "no"
        body = json.dumps({"message": f"{said} may not; ask {MAIL}"})
    request.send_response(status, reason)
    request.send_header("x-told", said)
    request.send_header("content-length", str(len(body.encode())))
    request.end_headers()
    request.wfile.write(body.encode())


Text = tuple[str, str]  # where it stands, and what it says


def written(*folders: Path) -> Iterator[Text]:
    """Yield all that was written below folders: names, bytes, and what is packed in them."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            yield f"name of {path}", str(path)
            if path.is_file():
                yield from packed(str(path), path.read_bytes())
            if path.suffix == ".sqlite":
                with closing(sqlite3.connect(path)) as opened:
                    yield f"{path} (dump)", "\n".join(opened.iterdump())


def packed(where: str, content: bytes, depth: int = 3) -> Iterator[Text]:
    """Yield some bytes as text, and what they hold: archives, compressed data, pictures, base64."""
    text = content.decode("utf-8", "replace")
    yield where, text
    for name, inside in _inside(content):
        yield from packed(f"{where} ({name})", inside, depth)
    if depth:
        for number, run in enumerate(re.findall(r"[A-Za-z0-9+/_-]{20,}={0,2}", text)):
            for raw in _decoded(run):
                yield from packed(f"{where} (base64 {number})", raw, depth - 1)


def _inside(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content[:2] in _SQUEEZED:
        with suppress(zlib.error):  # by chance it began so
            yield "unpacked", zlib.decompressobj(wbits=47).decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            yield from ((name, opened.read(name)) for name in opened.namelist())
    elif content[:4] == b"\x89PNG":
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            yield "words", "\n".join(map(str, picture.info.values())).encode()


def _decoded(run: str) -> Iterator[bytes]:
    """Yield what base64 says, where that is text or a kind that is opened."""
    for begin in range(4 if len(run) < 200 else 1):
        body = run[begin:].rstrip("=").translate(str.maketrans("-_", "+/"))
        body = body[: len(body) - (len(body) % 4 == 1)]
        raw = base64.b64decode(body + "=" * (-len(body) % 4))
        if raw[:2] in (*_SQUEEZED, b"\x89P", b"PK") or raw.isascii():
            yield raw


def leaks(texts: Iterable[Text]) -> list[str]:
    """Return where at least half of some secret can be read."""
    found = []
    for where, text in texts:
        for said in _readings(text):
            found += [
                f"{name} in {where}" for name, parts in _parts().items() if any(p in said for p in parts)
            ]
    return sorted(set(found))


@cache
def _parts() -> dict[str, tuple[str, ...]]:
    """Return by name what no text may hold: each half of a secret, and what it is encoded."""
    parts = {}
    for name, value in {**KNOWN, **FOUND}.items():
        forms = {value, value[::-1], value.encode().hex(), quote(value, safe=""), "".join(value.split())}
        parts[name] = tuple({part for form in forms for part in _halves(form)})
    return parts


def _halves(form: str) -> Iterator[str]:
    size = max(len(form) // 2 + 1, _TELLING)
    yield from (form[begin : begin + size] for begin in range(len(form) - size + 1))


def _readings(text: str) -> set[str]:
    """Return a text as its readers have it: without escapes, tags, colours, blanks, and joints."""
    plain = html.unescape(unquote(re.sub(r"\\+u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text)))
    shown = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^<>]*>|\x1b\(B|\x1b\[[0-9;]*m", "", plain)
    bare = re.sub(r"[\s\\\x00-\x1f\x7f\u200b\u00ad]+", "", shown)
    return {text, plain, shown, bare}
