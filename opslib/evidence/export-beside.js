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

function besideFindings(files, story, beside, say) {
  for (const { event } of beside) {
    for (const one of event.subjects) {
      const content = files.get(one.name);
      if (!content && !story.disposed.has(`${event.run || ""} ${one.sha256}`)) say("deleted", one.name, "is not there");
      else if (content && hex(sha256(content)) !== one.sha256)
        say(event.type === "approval" ? "approval-edited" : "note-edited", one.name, "is not what was written then");
    }
  }
  const known = new Set(story.notes.flatMap(({ event }) => event.subjects.map((one) => one.name)));
  for (const name of files.keys())
    if (/^notes\/[^/]+\/[^/.][^/]*\.json$/.test(name) && !known.has(name)) say("forged", name, "there is a note, but no leaf in the log");
}

function approvalFindings(story, extent, say) {
  const inside = (event) => extent.since <= event.time && event.time < extent.until;
  for (const { index, event } of [...story.lives.values()].flatMap((life) => life.changes)) {
    if (event.need === "none" || !inside(event)) continue;
    const agreed = ({ event: one }) => ["approved", "break-glass"].includes(one.decision) && one.plan && [event.plan, event.undoes].includes(one.plan);
    const given = story.approvals.filter(agreed);
    const latest = Date.parse(event.time) + words.tolerance;
    if (!given.length) say("unapproved", event.run, `carried out ${event.plan}, and the log knows nobody who had approved that`);
    else if (!given.some((one) => one.index < index && Date.parse(one.event.given || one.event.time) <= latest))
      say("approved-afterwards", event.run, `began to carry out ${event.plan} at ${event.time}; it was approved only afterwards`);
  }
}

function slotsOf(files, story, extent, say) {
  if (!files.has(words.slots)) return null;
  const asked = new Map();
  for (const [run, { requested }] of story.lives)
    if (requested && requested.event.slot) {
      const key = `${requested.event.slot}\n${requested.event.scheduled_for}`;
      asked.set(key, [...(asked.get(key) || []), run]);
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
  if (asked.has(key)) return { name, moment, state: "run", text: asked.get(key).join(", ") };
  if (reason === undefined) return { name, moment, state: "missing", text: "" };
  // What is no plain character stands spelled out there; the script looks at that.
  return { name, moment, state: "skipped", text: /^[ -~]*$/.test(reason) ? reason : said };
}

function slotFindings(slots, story, extent, say, found) {
  if (!slots) return void found.unproven.push(words.noSchedule);
  found.unproven.push(words.slotsInside);
  const first = story.schedules[0];
  if (!first) found.unproven.push(words.noneKnown);
  else if (extent.since < first) found.unproven.push(words.knownFrom.replace("{}", `${first.slice(0, 19).replace("T", " ")} UTC`));
  for (const one of slots)
    if (one.state === "missing") say("never-recorded", one.name, `the run that was due at ${one.moment} was never recorded`);
}
