// --- keys that took the place of others; approvals, notes and moments of the schedule

async function followed(files, policy, runners, say) {
  const links = [];
  for (const [index, event] of rotationsIn(files)) {
    try {
      links.push(await linked(index, event, links));
    } catch (error) {
      if (!(error instanceof NotSound)) throw error;
      say(error.kind || "forged", `key of the ${event.role}`, error.message);
    }
  }
  const of = (role) => links.filter((link) => link.role === role);
  reached(runners, of("runner")).forEach((raw, name) => runners.set(name, raw));
  for (const key of [...policy.logs])
    for (const raw of reached(new Map([[printOf(key.raw), key.raw]]), of("log")).values())
      if (!same(raw, key.raw)) policy.logs.push(verifierKeyOf(key.name, raw));
  const retired = (role, name) => new Map(of(role).reverse().map((link) => [name(link.old), link.index]));
  return { runners: retired("runner", (key) => key.name), logs: retired("log", (key) => hex(key.raw)) };
}

function rotationsIn(files) {
  try {
    const size = Number(text(files.get("log/checkpoint")).split("\n")[1]);
    const found = leavesOf(files, size).map((leaf, index) => [index, text(leaf)]);
    const told = found.filter(([, leaf]) => leaf.includes('"type":"key.rotated"'));
    return told.map(([index, leaf]) => [index, JSON.parse(leaf)]);
  } catch {
    return [];  // what cannot be read leads to no further key; why is said where the log is looked at
  }
}

async function linked(index, event, before) {
  const { role, old, new: next } = event;
  const keys = [old, next].map((line) => {
    const found = [...runnersOf(utf8.encode(line))];
    must(found.length === 1, "is said to have been replaced, but not by which one key");
    return { name: found[0][0], raw: found[0][1] };
  });
  const message = utf8.encode(`${words.rotated}\n${role}\n${old}\n${next}\n`);
  for (const [key, signature] of [[keys[0], event.vouched], [keys[1], event.accepted]])
    must(await signed(key.raw, message, base64(signature)), `is said to have been replaced, but ${key.name} has not signed that`);
  must(role === "runner" || role === "log", "is of no role that is known");
  const made = { index, role, old: keys[0], new: keys[1] };
  if (before.some((one) => one.role === role && one.old.name === made.old.name && one.new.name !== made.new.name))
    throw Object.assign(new NotSound(`${made.old.name} had been retired when it named ${made.new.name} as its successor`), { kind: "retired-key" });
  return made;
}

function reached(known, links) {
  const found = new Map(known);
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const { old, new: next } of links)
      if (found.has(old.name) || found.has(next.name)) found.set(old.name, old.raw).set(next.name, next.raw);
  }
  return found;
}

const TYPE = Uint8Array.of(0, 0, 0, 11, ...utf8.encode("ssh-ed25519"), 0, 0, 0, 32);
const printOf = (raw) => `SHA256:${btoa(String.fromCharCode(...sha256(TYPE, raw))).replace(/=+$/, "")}`;

function verifierKeyOf(name, raw) {
  const identity = hex(sha256(utf8.encode(`${name}\n`), Uint8Array.of(1), raw).subarray(0, 4));
  return { name, identity, kind: 1, raw };
}

function besideOf(story, rows) {
  const runs = new Set(rows.map((one) => one.run));
  const changes = [...runs].flatMap((run) => story.lives.get(run).changes);
  const plans = new Set(changes.flatMap(({ event }) => [event.plan, event.undoes].filter(Boolean)));
  return [
    ...story.approvals.filter(({ event }) => plans.has(event.plan)),
    ...story.notes.filter(({ event }) => runs.has(event.run)),
  ];
}

async function besideFindings(files, story, beside, say) {
  for (const { event } of beside) {
    if (event.type === "approval" && !event.subjects.length)
      say("forged", `approval of ${event.plan}`, "its leaf names no file that somebody has signed");
    for (const one of event.subjects) {
      const content = files.get(one.name);
      if (!content && !story.disposed.has(`${event.run || ""} ${one.sha256}`)) say("deleted", one.name, "is not there");
      else if (content && hex(sha256(content)) !== one.sha256)
        say(event.type === "approval" ? "approval-edited" : "note-edited", one.name, "is not what was written then");
      else if (content) {
        const why = await doubt(() => signedBeside(event, content));
        if (why) say("forged", one.name, why);
      }
    }
  }
  const known = new Set(story.notes.flatMap(({ event }) => event.subjects.map((one) => one.name)));
  for (const name of files.keys())
    if (/^notes\/[^/]+\/[^/.][^/]*\.json$/.test(name) && !known.has(name)) say("forged", name, "there is a note, but no leaf in the log");
}

async function approvalFindings(files, people, story, extent, handed, say) {
  const inside = (event) => extent.since <= event.time && event.time < extent.until;
  const begun = new Map();
  for (const { index, event } of [...story.lives.values()].flatMap((life) => life.changes))
    begun.set(event.plan, Math.min(index, begun.has(event.plan) ? begun.get(event.plan) : index));
  for (const [life, { index, event }] of [...story.lives.values()].flatMap((life) => life.changes.map((one) => [life, one]))) {
    if (event.need === "none" || !inside(event)) continue;
    const agreed = ({ event: one }) => ["approved", "break-glass"].includes(one.decision) && one.plan && [event.plan, event.undoes].includes(one.plan);
    const rehearsal = life.requested && life.requested.event.environment === words.rehearsal;
    const latest = Date.parse(event.time) + words.tolerance;
    const [good, doubts] = [[], new Set()];
    for (const one of story.approvals.filter(agreed)) {
      // Of a run that was not handed over, the log alone tells.
      // What was begun in time may be finished later; what undoes a plan is covered by the approval of that.
      const ends = one.event.plan === event.plan && begun.get(event.plan) === index;
      const held = async () => mustHold(await counts(one.event, files, people, rehearsal), ends, event.time);
      const why = handed.has(event.run) ? await doubt(held) : "";
      if (why) doubts.add(why);
      else good.push(one);
    }
    const why = doubts.size ? `no approval of that counts: ${[...doubts].join("; ")}` : "the log knows nobody who had approved that";
    if (!good.length) say("unapproved", event.run, `carried out ${event.plan}, and ${why}`);
    else if (!good.some((one) => one.index < index && Date.parse(one.event.given || one.event.time) <= latest))
      say("approved-afterwards", event.run, `began to carry out ${event.plan} at ${event.time}; it was approved only afterwards`);
  }
}

function mustHold(until, ends, time) {
  if (until === undefined) return;
  const last = typeof until === "string" ? Date.parse(until) : NaN;
  must(!isNaN(last), "what was signed has another time than the log says");
  must(!ends || Date.parse(time) <= last + words.tolerance, `it held until ${until}, and was used at ${time}`);
}

// --- what people have signed, as OpenSSH does

async function doubt(look) {
  try {
    await look();
    return "";
  } catch (error) {
    if (error instanceof CannotCheck) throw error;
    return error instanceof NotSound ? error.message : "it is nothing that somebody has signed";
  }
}

async function counts(event, files, people, rehearsal) {
  must(event.subjects.length === 1, "its leaf names no file that somebody has signed");
  const [one] = event.subjects;
  must(files.has(one.name), `${one.name} is not there`);
  must(hex(sha256(files.get(one.name))) === one.sha256, `${one.name} is not what was signed then`);
  const stated = await signedBeside(event, files.get(one.name));
  if (people) mustBeKnown(event, people, rehearsal);
  return stated.expires_at;
}

function mustBeKnown(event, people, rehearsal) {
  const holder = people.get(event.key);
  if (!holder) return must(rehearsal, `${event.key} is the key of nobody who is known`);
  must(holder.person === event.actor, `${event.key} is the key of ${holder.person}, not of ${event.actor}`);
  const at = Date.parse(event.given);
  must(!(at < holder.after) && !(at >= holder.before), `the key of ${holder.person} did not count then`);
}

async function signedBeside(event, content) {
  const note = event.type !== "approval";
  if (note && !event.key && !text(content).includes('"signature"')) return;  // nobody has signed it, and nobody says so
  const found = JSON.parse(text(content));
  if (note) {
    const told = Object.fromEntries(["run_id", "time", "actor", "text"].map((name) => [name, String(found[name])]));
    await signedBy(event.key, utf8.encode(JSON.stringify(told, inOrder)), found.signature, "opslib-note");
    return must(told.run_id === event.run, `what was signed is about ${told.run_id}, not about ${event.run}`);
  }
  await signedBy(event.key, utf8.encode(found.statement), found.signature, "opslib-change");
  const stated = JSON.parse(found.statement);
  must(JSON.stringify(stated, inOrder) === found.statement, "what was signed is not in its one form");
  const kind = { approved: "approval", "break-glass": "approval", reviewed: "review" }[event.decision];
  const said = stated.type === `https://opslib.dev/${kind}/v0.1` && (stated.break_glass === true) === (event.decision === "break-glass");
  must(said, `what was signed does not say ${event.decision}, as the log does`);
  must(stated.digest === event.plan, `what was signed is not about ${event.plan}, as the log says`);
  must(event.given && Date.parse(stated.at) === Date.parse(event.given), "what was signed has another time than the log says");
  return stated;
}

async function signedBy(key, payload, armoured, purpose) {
  const [, body] = /^\s*-----BEGIN SSH SIGNATURE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END SSH SIGNATURE-----\s*$/.exec(armoured) || [];
  must(body, "it is not signed");
  const content = base64(body.replace(/\s+/g, ""));
  must(same(content.subarray(0, 10), joined(utf8.encode("SSHSIG"), Uint8Array.of(0, 0, 0, 1))), "it is not signed");
  const [blob, namespace, reserved, hashed, made] = frames(content.subarray(10), 5);
  const [kind, raw] = frames(made, 2);
  const form = same(blob.subarray(0, 19), TYPE) && blob.length === 51 && text(kind) === "ssh-ed25519" && text(hashed) === "sha512";
  must(form && !reserved.length, "it is not signed in the form that is taken");
  const name = printOf(blob.subarray(19));
  must(text(namespace) === purpose, `${name} has signed it for another purpose`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", payload));
  const message = joined(utf8.encode("SSHSIG"), ...[namespace, reserved, hashed, digest].map(framed));
  must(await signed(blob.subarray(19), message, raw), `the signature of ${name} does not fit: what was signed was altered since`);
  must(name === key, `${name} has signed it, not ${key || "nobody"}, as the log says`);
}

const framed = (part) => joined(Uint8Array.of(part.length >>> 24, part.length >>> 16, part.length >>> 8, part.length), part);

function frames(content, count) {
  const parts = [];
  for (let number = 0; number < count; number++) {
    must(content.length >= 4, "the signature is not whole");
    const end = 4 + new DataView(content.buffer, content.byteOffset).getUint32(0);
    must(content.length >= end, "the signature is not whole");
    parts.push(content.subarray(4, end));
    content = content.subarray(end);
  }
  must(!content.length, "the signature has something behind its end");
  return parts;
}

function peopleOf(content) {
  const found = new Map();
  for (const line of text(content).split("\n")) {
    if (!line.trim() || line.startsWith("#")) continue;
    const [, person, terms, key] = /^([a-z][a-z0-9._-]*) namespaces="[^"]*"((?:,valid-(?:after|before)="[0-9]{8}Z")*) (ssh-.*)$/.exec(line) || [];
    must(person, `${words.people} holds a line that is not understood`);
    const day = (name) => Date.parse((new RegExp(`valid-${name}="(....)(..)(..)Z"`).exec(terms) || []).slice(1).join("-") || NaN);
    for (const name of runnersOf(utf8.encode(key)).keys()) found.set(name, { person, after: day("after"), before: day("before") });
  }
  return found;
}

function slotsOf(files, story, extent, say) {
  if (!files.has(words.slots)) return null;
  const asked = new Map();
  for (const { requested } of story.lives.values())
    if (requested && requested.event.slot) {
      const key = `${requested.event.slot}\n${requested.event.scheduled_for}`;
      asked.set(key, [...(asked.get(key) || []), requested.event]);
    }
  let listed;
  try {
    listed = JSON.parse(text(files.get(words.slots)));
    listed.forEach((one) => must(typeof one.name === "string" && !isNaN(Date.parse(one.moment)), "no name and moment"));
  } catch {
    say("file-edited", words.slots, "is no list of name and moment");
    return [];
  }
  const inside = listed.filter((one) => extent.since <= one.moment && one.moment < extent.until);
  for (const one of listed) {
    const right = became(one, asked, story);
    const fits = inside.includes(one) && ["state", "text"].every((part) => one[part] === right[part]) && Object.keys(one).length === 4;
    if (!fits) say("file-edited", `${words.slots}: ${one.name} ${one.moment}`, "is not what became of it, or not of the period");
  }
  return inside.map((one) => became(one, asked, story));
}

function became({ name, moment, text: said }, asked, story) {
  const key = `${name}\n${moment}`;
  const reason = story.skipped.get(key);
  const all = asked.get(key) || [];
  const runs = all.filter((event) => fits(event, name, moment, story)).map((event) => event.run);
  if (runs.length) return { name, moment, state: "run", text: runs.join(", ") };
  if (reason === undefined) {
    const others = all.map((event) => `${event.run} says that it was for this, but ran ${event.procedure} on ${event.system} (${event.environment})`);
    return { name, moment, state: "missing", text: plainly(others.join("; "), said) };
  }
  return { name, moment, state: "skipped", text: plainly(reason, said) };
}

// What is no plain character stands spelled out there; the script looks at that.
const plainly = (right, said) => (/^[ -~]*$/.test(right) ? right : said);

function fits(event, name, moment, story) {
  const planned = [moment, event.time].flatMap((when) => {
    const before = story.schedules.filter((one) => one.time <= when);
    return before.length ? before[before.length - 1].slots.filter((one) => one.name === name).slice(0, 1) : [];
  });
  const what = ({ runs }) => (runs.endsWith(words.routine) ? words.checklist : runs);
  const meant = (one) => event.procedure === what(one) && event.system === one.system && event.environment === one.environment;
  return !planned.length || planned.some(meant);
}

function slotFindings(slots, story, extent, say, found) {
  if (!slots) return void found.unproven.push(words.noSchedule);
  found.unproven.push(words.slotsInside);
  const first = story.schedules[0];
  if (!first) found.unproven.push(words.noneKnown);
  else if (extent.since < first.time) found.unproven.push(words.knownFrom.replace("{}", `${first.time.slice(0, 19).replace("T", " ")} UTC`));
  for (const one of slots)
    if (one.state === "missing") say("never-recorded", one.name, `the run that was due at ${one.moment} was never recorded${one.text && `: ${one.text}`}`);
}
