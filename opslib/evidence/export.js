"use strict";
// Checks an export in the browser, without a network: the same findings by the same names as verify_evidence.py.

const words = JSON.parse(document.getElementById("words").textContent);
const utf8 = new TextEncoder();
const text = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

class NotSound extends Error {}
class CannotCheck extends Error {}

function must(holds, why) {
  if (!holds) throw new NotSound(why);
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function base64(encoded) {
  let found = "";
  try {
    found = atob(encoded);
  } catch {
    must(false, "what should be base64 is none");
  }
  must(btoa(found) === encoded, "the base64 is not in its one form");
  return Uint8Array.from(found, (one) => one.charCodeAt(0));
}

// --- SHA-256: the browser's own is asynchronous, which takes seconds for a hundred thousand leaves

const ROUND = [];
const START = [];
for (let number = 2; ROUND.length < 64; number++) {
  let prime = true;
  for (let by = 2; by * by <= number; by++) prime = prime && number % by > 0;
  if (!prime) continue;
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  if (START.length < 8) START.push(fraction(Math.sqrt(number)));
  ROUND.push(fraction(Math.cbrt(number)));
}

function sha256(...parts) {
  const message = joined(...parts);
  const size = ((message.length + 72) >> 6) << 6;
  const padded = new Uint8Array(size);
  padded.set(message);
  padded[message.length] = 128;
  const view = new DataView(padded.buffer);
  view.setUint32(size - 8, Math.floor(message.length / 2 ** 29));
  view.setUint32(size - 4, message.length << 3);
  const state = Int32Array.from(START);
  const w = new Int32Array(64);
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let block = 0; block < size; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getInt32(block + 4 * t);
    for (let t = 16; t < 64; t++) {
      const a = turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ (w[t - 15] >>> 3);
      const b = turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ (w[t - 2] >>> 10);
      w[t] = (w[t - 16] + a + w[t - 7] + b) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[t] + w[t]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => (state[at] = (state[at] + word) | 0));
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, at) => digest.setInt32(4 * at, word));
  return new Uint8Array(digest.buffer);
}

const imported = new Map();

async function signed(key, message, signature) {
  const name = hex(key);
  if (!imported.has(name)) imported.set(name, crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]));
  let known;
  try {
    known = await imported.get(name);
  } catch {
    throw new CannotCheck("this browser cannot check Ed25519 signatures: use a newer one, or verify_evidence.py");
  }
  return crypto.subtle.verify("Ed25519", known, signature, message);
}

// --- the zip

async function unzipped(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  must(end >= 0, "this is no zip");
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  must(count < 0xffff && at < 0xffffffff, "the zip is too large for this page: use verify_evidence.py");
  const found = new Map();
  for (let number = 0; number < count; number++) {
    must(view.getUint32(at, true) === 0x02014b50, "the zip is damaged");
    const [method, size] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [named, extra, remark] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const name = text(bytes.subarray(at + 46, at + 46 + named));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    must(!found.has(name), `the zip has ${name} twice`);
    if (!name.endsWith("/")) found.set(name, unpacked(method, bytes.subarray(start, start + size), name));
    at += 46 + named + extra + remark;
  }
  const contents = await Promise.all(found.values());
  return new Map([...found.keys()].map((name, number) => [name, contents[number]]));
}

async function unpacked(method, content, name) {
  must(method === 0 || method === 8, `${name} is packed in a way that this page does not know`);
  if (method === 0) return content;
  try {
    const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new NotSound(`${name} cannot be unpacked: the zip is damaged`);
  }
}

// --- whom to believe, and what they signed

function policyOf(content) {
  const found = { logs: [], witnesses: new Map(), groups: new Map(), quorum: "" };
  for (const line of text(content).split("\n")) {
    const [kind, ...rest] = line.trim().split(/[ \t]+/);
    if (kind === "log") found.logs.push(verifierKey(rest[0]));
    else if (kind === "witness") found.witnesses.set(rest[0], verifierKey(rest[1]));
    else if (kind === "group") found.groups.set(rest[0], { threshold: rest[1], members: rest.slice(2) });
    else if (kind === "quorum") found.quorum = rest[0];
    else must(kind === "" || kind.startsWith("#"), `the policy holds ${line}`);
  }
  must(found.quorum, "the policy has no line quorum");
  return found;
}

function verifierKey(line) {
  const [, name, identity, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(line || "") || [];
  must(name, "the policy has a key of an unknown form");
  const content = base64(encoded);
  must(content.length === 33 && (content[0] === 1 || content[0] === 4), `the key of ${name} is not supported`);
  must(hex(sha256(utf8.encode(`${name}\n`), content).subarray(0, 4)) === identity, `the key of ${name} does not fit its id`);
  return { line, name, identity, kind: content[0], raw: content.subarray(1) };
}

function runnersOf(content) {
  const found = new Map();
  for (const line of text(content).split("\n")) {
    const [kind, encoded] = line.trim().split(/\s+/);
    if (!kind || kind.startsWith("#")) continue;
    must(kind === "ssh-ed25519", "runner-keys holds a key that is not supported");
    const blob = base64(encoded || "");
    must(blob.length === 51, "runner-keys holds a key of an unknown form");
    const print = btoa(String.fromCharCode(...sha256(blob))).replace(/=+$/, "");
    found.set(`SHA256:${print}`, blob.subarray(19));
  }
  return found;
}

async function headOf(content, policy) {
  const note = text(content);
  const split = note.lastIndexOf("\n\n") + 1;
  must(split > 1 && note.endsWith("\n"), "the head of the log is no signed note");
  const body = note.slice(0, split);
  const [origin, size, root] = body.split("\n");
  must(/^(0|[1-9][0-9]{0,15})$/.test(size || ""), "the head of the log has no size");
  const head = { body, origin, size: Number(size), root: base64(root || ""), signed: false, witnesses: new Set(), signers: [] };
  for (const line of note.slice(split + 1, -1).split("\n")) {
    const [, name, encoded] = /^\u2014 ([^\s+]+) (\S+)$/.exec(line) || [];
    must(name, "a line below the head of the log is no signature");
    const content = base64(encoded);
    const keys = [...policy.logs, ...policy.witnesses.values()];
    const key = keys.find((one) => one.name === name && one.identity === hex(content.subarray(0, 4)));
    if (!key) continue;
    const seen = key.kind === 4;
    const time = seen ? new DataView(content.buffer).getBigUint64(4) : 0n;
    const message = utf8.encode(seen ? `cosignature/v1\ntime ${time}\n${body}` : body);
    const good = await signed(key.raw, message, content.subarray(seen ? 12 : 4));
    must(good, `the signature of ${name} does not fit: the text was altered since`);
    if (seen) head.witnesses.add(key);
    else head.signers.push(hex(key.raw));
    head.signed ||= !seen && key.name === origin;
  }
  return head;
}

function enough(policy, head, name = policy.quorum) {
  if (name === "none") return true;
  if (policy.witnesses.has(name)) return head.witnesses.has(policy.witnesses.get(name));
  const group = policy.groups.get(name);
  must(group, `the policy has no ${name}`);
  const need = { any: 1, all: group.members.length }[group.threshold] || Number(group.threshold);
  return group.members.filter((member) => enough(policy, head, member)).length >= need;
}

async function statement(content, runners) {
  const envelope = JSON.parse(text(content));
  const payload = base64(envelope.payload);
  must(envelope.payloadType === "application/vnd.in-toto+json", "it holds something else than a statement");
  const start = `DSSEv1 ${envelope.payloadType.length} ${envelope.payloadType} ${payload.length} `;
  const signers = [];
  for (const one of envelope.signatures) {
    if (!runners.has(one.keyid)) continue;
    const good = await signed(runners.get(one.keyid), joined(utf8.encode(start), payload), base64(one.sig));
    must(good, `the signature of ${one.keyid} does not fit: the payload was altered since`);
    signers.push(one.keyid);
  }
  must(signers.length, "no runner that is trusted has signed it");
  return { signers, told: JSON.parse(text(payload)) };
}

function stated(content) {
  const { subject, predicate } = JSON.parse(text(base64(JSON.parse(text(content)).payload)));
  const meta = predicate.runDetails.metadata;
  return {
    run: meta.invocationId, verdict: predicate.verdict, started: meta.startedOn, finished: meta.finishedOn,
    procedure: predicate.runDefinition.externalParameters.runbook,
    system: predicate.runDefinition.externalParameters.system,
    environment: predicate.runDefinition.externalParameters.environment, cause: predicate.cause ? predicate.cause.id : "",
    subjects: subject.map((one) => ({ name: one.name, sha256: one.digest.sha256 })),
  };
}

// --- the log

function tilePath(number, width) {
  const parts = [String(number % 1000).padStart(3, "0")];
  for (let rest = Math.floor(number / 1000); rest; rest = Math.floor(rest / 1000))
    parts.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  return `log/tile/entries/${parts.join("/")}${width < 256 ? `.p/${width}` : ""}`;
}

function leavesOf(files, size) {
  const leaves = [];
  for (let number = 0; number * 256 < size; number++) {
    const name = tilePath(number, Math.min(256, size - number * 256));
    const bundle = files.get(name);
    must(bundle, `${name} is missing`);
    for (let at = 0; at < bundle.length; ) {
      const length = (bundle[at] << 8) | bundle[at + 1];
      must(at + 2 + length <= bundle.length, `${name} is cut off`);
      leaves.push(bundle.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
  }
  must(leaves.length === size, "not all leaves of the log are there");
  return leaves;
}

const inOrder = (_, one) =>
  one && typeof one === "object" && !Array.isArray(one)
    ? Object.fromEntries(Object.keys(one).sort().map((name) => [name, one[name]]))
    : one;

// What is not in the one form of an event that is known says nothing, as in Python, and is named.
function eventOf(leaf, index, say) {
  try {
    const event = JSON.parse(text(leaf));
    must(same(utf8.encode(JSON.stringify(event, inOrder)), leaf), "the leaf is not in its one form");
    must(Object.hasOwn(words.events, event.type), "the leaf is no event that is known here");
    must(Object.keys(event).sort().join() === words.events[event.type].join(), "the leaf has not the parts of its kind");
    return event;
  } catch (error) {
    say("not-understood", `leaf ${index}`, error.message);
    return { type: "", time: "" };
  }
}

function rootOf(hashes) {
  let level = hashes.length ? hashes : [sha256(new Uint8Array())];
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at + 1 < level.length; at += 2) above.push(sha256(Uint8Array.of(1), level[at], level[at + 1]));
    if (level.length % 2) above.push(level[level.length - 1]);
    level = above;
  }
  return level[0];
}

function storyOf(events, retired) {
  const story = {
    lives: new Map(), disposed: new Map(), retired, disposals: [], holds: new Map(), approvals: [], notes: [], schedules: [],
    skipped: new Map(),
  };
  const life = (run) => {
    if (!story.lives.has(run)) story.lives.set(run, { finished: [], changes: [] });
    return story.lives.get(run);
  };
  events.forEach((event, index) => {
    if (event.type === "run.requested") life(event.run).requested ||= { index, event };
    else if (event.type === "run.started") life(event.run).started ||= { index, event };
    else if (event.type === "run.finished") life(event.run).finished.push({ index, event });
    else if (event.type === "hold") story.holds.set(event.run, [...(story.holds.get(event.run) || []), { index, event }]);
    else if (event.type === "disposal") {
      story.disposals.push({ index, event });
      for (const one of event.subjects) story.disposed.set(`${event.run} ${one.sha256}`, index);
    } else if (event.type === "change.begun") life(event.run).changes.push({ index, event });
    else if (event.type === "approval") story.approvals.push({ index, event });
    else if (event.type === "annotation") story.notes.push({ index, event });
    else if (event.type === "schedule.changed") story.schedules.push(event);
    else if (event.type === "slot.skipped") story.skipped.set(`${event.slot}\n${event.scheduled_for}`, event.reason);
  });
  return story;
}

// --- population, figures and sample, made again

const ENVELOPE = "run.dsse.json";
const folderOf = (event) => `runs/${event.started.slice(0, 10).replaceAll("-", "/")}/${event.run}`;
const pathOf = (event, name) => (name.startsWith("blobs/") ? name : `${folderOf(event)}/${name}`);
const digestOf = (event) => (event.subjects.find((one) => one.name === ENVELOPE) || { sha256: "" }).sha256;

function populationOf(story, extent, files) {
  const inside = (when) => extent.since <= when && when < extent.until;
  const rows = [];
  for (const [run, life] of story.lives) {
    const steps = [life.requested, life.started].filter(Boolean);
    const began = steps.length ? steps[0].event.time : life.finished.length ? life.finished[0].event.started : life.changes[0].event.time;
    const asked = life.requested ? life.requested.event : {};
    if (!inside(began) || (asked.procedure && !extent.procedures.includes(asked.procedure))) continue;
    const first = Math.min(...[...steps, ...life.finished, ...life.changes].map((step) => step.index));
    rows.push({ first, cells: row(run, life, asked, first, story, files) });
  }
  rows.sort((one, other) => one.first - other.first);
  return rows.map((one) => one.cells);
}

function row(run, life, asked, first, story, files) {
  const last = life.finished[life.finished.length - 1];
  const sealed = last && last.event;
  const digest = sealed ? digestOf(sealed) : "";
  let told = { finished: "", cause: "" };
  const content = sealed && files.get(pathOf(sealed, ENVELOPE));
  try {
    if (content && hex(sha256(content)) === digest) told = stated(content);
  } catch {
    told = { finished: "", cause: "" };  // said where the record is looked at
  }
  const state = !sealed ? "open" : story.disposed.has(`${run} ${digest}`) ? "disposed" : "sealed";
  return {
    run, state, procedure: asked.procedure || "", system: asked.system || "", environment: asked.environment || "",
    trigger: asked.trigger || "", actor: asked.actor || "", scheduled_for: asked.scheduled_for || "",
    requested: life.requested ? asked.time : "",
    started: sealed ? sealed.started : life.started ? life.started.event.time : "",
    finished: told.finished, verdict: sealed ? sealed.verdict : "", cause: told.cause,
    log_index: String(sealed ? last.index : first), record_sha256: digest,
  };
}

function entriesOf(events, rows, beside, extent) {
  const runs = new Set(rows.map((one) => one.run));
  const bearing = new Set(beside.map((one) => one.index));
  const found = [];
  events.forEach((event, index) => {
    const run = event.run || "";
    const ours = runs.has(run) || bearing.has(index);
    if (!ours && !(extent.since <= event.time && event.time < extent.until)) return;
    const explained = ours ? "population" : run ? "other control" : "other event";
    found.push({ log_index: String(index), time: event.time, kind: event.type, run, explained });
  });
  return found;
}

function figuresOf(rows, leaves, slots) {
  const figures = { runs: rows.length };
  for (const state of ["sealed", "open", "disposed"])
    figures[`runs ${state}`] = rows.filter((one) => one.state === state).length;
  figures.leaves = leaves.length;
  for (const why of ["population", "other control", "other event"])
    figures[`leaves: ${why}`] = leaves.filter((one) => one.explained === why).length;
  if (!slots) return figures;
  figures.moments = slots.length;
  for (const state of words.decided) figures[`moments ${state}`] = slots.filter((one) => one.state === state).length;
  return figures;
}

function sheetOf(names, rows) {
  const formula = /^(?:[ \t\r\n\0]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])/;
  const whole = (cell) => cell.replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
  const cell = (value) => `"${(formula.test(value) ? `'${value}` : value).replaceAll('"', '""')}"`;
  const lines = [names, ...rows.map((one) => names.map((name) => whole(one[name])))];
  return utf8.encode(lines.map((line) => `${line.map(cell).join(",")}\r\n`).join(""));
}

function drawOf(rows, head, draw) {
  const seed = hex(sha256(utf8.encode(head.body + draw.word)));
  const kept = rows.filter((one) => one.state === "sealed").map((one) => one.run);
  const number = new Map(kept.map((run) => [run, hex(sha256(utf8.encode(`${seed} ${run}`)))]));
  kept.sort((one, other) => (number.get(one) < number.get(other) ? -1 : 1));
  return draw.count === null ? kept : kept.slice(0, draw.count);
}
