// --- what is wrong

async function verified(files, own) {
  const found = { findings: [], unproven: [], manifest: null, rows: [], figures: {}, keys: [] };
  const said = new Set();
  const say = (kind, subject, why) => {
    if (said.size < said.add(`${kind} ${subject} ${why}`).size) found.findings.push({ kind, subject, why });
  };
  const runners = runnersOf(own.runners || files.get("runner-keys") || new Uint8Array());
  const policy = policyOf(own.policy || files.get("policy") || new Uint8Array());
  found.keys = [...policy.logs.map((key) => `log ${key.line}`), ...runners.keys()];
  if (!own.runners || !own.policy) found.unproven.push(words.keysInside);
  const retired = await followed(files, policy, runners, say);
  const manifest = await manifestOf(files, runners, retired, say);
  if (!manifest) return found;
  found.manifest = manifest.predicate;
  manifestFiles(files, manifest, say);
  const log = await logOf(files, policy, own, retired, say, found);
  if (!log) return found;
  const extent = found.manifest;
  found.rows = populationOf(log.story, extent, files);
  const beside = besideOf(log.story, found.rows);
  const leaves = entriesOf(log.events, found.rows, beside, extent);
  const slots = slotsOf(files, log.story, extent, say);
  found.figures = figuresOf(found.rows, leaves, slots);
  compareSheet(files, "population.csv", words.columns, found.rows, say);
  compareSheet(files, "log.csv", words.leafColumns, leaves, say);
  const right = Object.entries(found.figures);
  if (right.some(([name, figure]) => extent.counts[name] !== figure))
    say("forged", words.manifest, "its figures are not those of log and records");
  const drawn = drawOf(found.rows, log.head, extent.draw);
  if (drawn.join() !== extent.draw.runs.join())
    say("swapped", "sample", `the lot draws ${drawn.slice(0, 5).join(", ")}; others were handed over`);
  for (const one of found.rows) await recordOf(one, log, files, runners, new Set(drawn), say);
  lifeFindings(log, extent, say);
  const people = files.has(words.people) ? peopleOf(files.get(words.people)) : null;
  await besideFindings(files, log.story, beside, say);
  await approvalFindings(files, people, log.story, extent, new Set(found.rows.map((row) => row.run)), say);
  const needed = log.events.some((event) => event.type === "change.begun" && event.need !== "none");
  if (needed || people) found.unproven.push(...(people ? [words.peopleInside] : [words.noPeople]));
  slotFindings(slots, log.story, extent, say, found);
  found.unproven.push(words.byTheTeam, words.orderAndTimes);
  if (extent.draw.count !== null && !extent.draw.word) found.unproven.push(words.whenChosen);
  return found;
}

async function manifestOf(files, runners, retired, say) {
  try {
    must(files.has(words.manifest), "is not there: nothing says what was handed over");
    const { signers, told } = await statement(files.get(words.manifest), runners);
    if (signers.every((key) => retired.runners.has(key))) say("retired-key", words.manifest, `is signed with ${signers[0]}, which had been retired`);
    must(told.predicateType === words.exportType, "does not say what was handed over");
    const { count } = told.predicate.draw;
    must(count === null || (Number.isSafeInteger(count) && count >= 0), "it does not say how many were drawn");
    return told;
  } catch (error) {
    if (error instanceof CannotCheck) throw error;
    say("record-edited", words.manifest, error.message);
    return null;
  }
}

function manifestFiles(files, manifest, say) {
  const listed = new Map(manifest.subject.map((one) => [one.name, one.digest.sha256]));
  for (const [name, digest] of listed) {
    if (!files.has(name)) say("deleted", name, "was handed over and is not there");
    else if (hex(sha256(files.get(name))) !== digest) say("file-edited", name, "is not what was handed over");
  }
  for (const name of files.keys()) {
    const hidden = name.split("/").some((part) => part.startsWith("."));
    if (!listed.has(name) && !hidden && name !== words.manifest) say("forged", name, "was not handed over");
  }
}

async function logOf(files, policy, own, retired, say, found) {
  let head;
  try {
    must(files.has("log/checkpoint"), "the log has no head any more");
    head = await headOf(files.get("log/checkpoint"), policy);
    if (!head.signed) say("rebuilt", "log", "no key trusted for it has signed its head");
    const ends = head.signers.map((key) => (retired.logs.has(key) ? retired.logs.get(key) : head.size));
    if (ends.length && ends.every((end) => end < head.size)) say("retired-key", "log", "its head is signed with a key that had been retired");
    const leaves = leavesOf(files, head.size);
    const hashes = leaves.map((leaf) => sha256(Uint8Array.of(0), leaf));
    must(same(rootOf(hashes), head.root), "its leaves are not those over which its head was signed");
    const heads = [["the earlier head", files.get("checkpoints/earlier")], ["your own earlier head", own.head]];
    for (const [name, content] of heads) {
      const old = content && (await continued(name, content, policy, head, hashes, say));
      if (name === heads[0][0]) proofBetween(files, old, hashes, say);
    }
    await witnessed(files, policy, head, hashes, say, found);
    if (!heads.some(([, content]) => content)) found.unproven.push(words.noEarlier);
    const events = leaves.map((leaf, index) => eventOf(leaf, index, say));
    return { head, events, story: storyOf(events, retired.runners) };
  } catch (error) {
    if (error instanceof CannotCheck) throw error;
    say("log-edited", "log", error.message);
    found.unproven.push(words.notRead);
    return null;
  }
}

async function continued(name, content, policy, head, hashes, say) {
  let old;
  try {
    old = await headOf(content, policy);
  } catch (error) {
    if (error instanceof CannotCheck) throw error;
    say("proof-edited", name, error.message);
    return null;
  }
  if (!old.signed && !old.witnesses.size) say("proof-edited", name, "nobody who is trusted has signed it");
  else if (old.size > head.size) say("truncated", "log", `had ${old.size} leaves when ${name} was signed`);
  else if (!same(rootOf(hashes.slice(0, old.size)), old.root))
    say("forked", "log", `its first ${old.size} leaves are not those over which ${name} was signed`);
  return old;
}

function consistencyOf(hashes, old) {
  const path = [];
  const half = (count) => 2 ** Math.ceil(Math.log2(count) - 1);
  let [start, end] = [0, hashes.length];
  while (end !== old) {
    const middle = start + half(end - start);
    path.unshift(old <= middle ? rootOf(hashes.slice(middle, end)) : rootOf(hashes.slice(start, middle)));
    if (old <= middle) end = middle;
    else start = middle;
  }
  return start && old ? [rootOf(hashes.slice(start, end)), ...path] : path;
}

function proofBetween(files, old, hashes, say) {
  if (!files.has(words.consistency)) return;
  const right = old && old.size && old.size <= hashes.length ? consistencyOf(hashes, old.size) : [];
  const lines = right.map((step) => `${btoa(String.fromCharCode(...step))}\n`).join("");
  if (!same(utf8.encode(lines), files.get(words.consistency)))
    say("forked", words.consistency, "does not lead from the earlier head to this one");
}

async function witnessed(files, policy, head, hashes, say, found) {
  const names = [...files.keys()].filter((name) => name.startsWith("log/cosigned/")).sort();
  let seen = head.witnesses.size && enough(policy, head) ? head.size : 0;
  for (const name of names) {
    const other = await continued(name, files.get(name), policy, head, hashes, say);
    if (other && other.witnesses.size && enough(policy, other)) seen = Math.max(seen, other.size);
  }
  if (policy.quorum !== "none" && !seen) say("unwitnessed", "log", "fewer witnesses than demanded have cosigned it");
  if (!seen) found.unproven.push(words.noWitness);
  else if (seen < head.size) found.unproven.push(`${words.afterWitness}: leaves ${seen} to ${head.size - 1}`);
}

function compareSheet(files, name, columns, rows, say) {
  const content = files.get(name);
  const right = sheetOf(columns, rows);
  if (!content || same(content, right)) return;
  const byCell = (bytes) => {
    const lines = new TextDecoder().decode(bytes).split("\r\n").filter((line) => line.split('"').length > 2);
    return new Map(lines.map((line) => [line.split('"')[1], line]));
  };
  const [found, expected] = [byCell(content), byCell(right)];
  for (const [key, line] of expected) {
    if (!found.has(key)) say("deleted", `${name}: ${key}`, "its row is missing");
    else if (found.get(key) !== line) say("file-edited", `${name}: ${key}`, "its row is not what log and records say");
  }
  for (const key of found.keys())
    if (!expected.has(key)) say("forged", `${name}: ${key}`, "neither log nor records have such a row");
  say("file-edited", name, "is not what follows from log and records");
}

async function recordOf(one, log, files, runners, drawn, say) {
  for (const { index, event } of log.story.lives.get(one.run).finished) {
    const gone = (subject) => log.story.disposed.has(`${one.run} ${subject.sha256}`);
    let subjects = event.subjects;
    const content = files.get(pathOf(event, ENVELOPE));
    if (!digestOf(event)) say("forged", one.run, "was sealed without a record");
    if (content && hex(sha256(content)) === digestOf(event)) {
      try {
        const { signers } = await statement(content, runners);
        const told = stated(content);
        const retired = (key) => log.story.retired.has(key) && log.story.retired.get(key) < index;
        if (signers.every(retired)) say("retired-key", one.run, `its record is signed with ${signers[0]}, which had been retired`);
        subjects = [...subjects, ...told.subjects];
        toldOtherwise(told, event, one, say);
      } catch (error) {
        if (error instanceof CannotCheck) throw error;
        say("forged", one.run, error.message);
      }
    }
    for (const subject of subjects) {
      if (!drawn.has(one.run) && subject.name !== ENVELOPE) continue;
      const there = files.get(pathOf(event, subject.name));
      if (!there && !gone(subject)) say("deleted", one.run, `${subject.name} is not there`);
      else if (there && hex(sha256(there)) !== subject.sha256)
        say(words.kinds[subject.name] || "file-edited", one.run, `${subject.name} is not what was sealed`);
    }
  }
}

function toldOtherwise(told, event, one, say) {
  if (told.run !== event.run) say("swapped", event.run, `its record is that of ${told.run}`);
  if (told.verdict !== event.verdict)
    say("forged", event.run, `its record says ${told.verdict}, the log says ${event.verdict}`);
  if (Date.parse(told.started) !== Date.parse(event.started))
    say("back-dated", event.run, `its record says that it began ${told.started}, the log says ${event.started}`);
  for (const name of ["procedure", "system", "environment"])
    if (one[name] && told[name] !== one[name])
      say("forged", event.run, `its record is of ${told[name]}, but ${one[name]} was asked for`);
}

function disposalFindings(index, event, story, say) {
  const holds = (story.holds.get(event.run) || []).filter((one) => one.index < index);
  if (holds.length && holds[holds.length - 1].event.state === "set")
    say("disposed-on-hold", event.run, "was destroyed while on hold");
  const life = story.lives.get(event.run);
  const days = /^\S+: ([0-9]{1,6}) days$/.exec(event.policy);
  if (!life || !life.finished.length) {
    say("disposed-without-rule", event.run, "was destroyed, but the log has no record of it");
  } else if (days) {
    const began = Date.parse(life.finished[life.finished.length - 1].event.started);
    if (Date.parse(event.time) < began + days[1] * 86400000)
      say("disposed-early", event.run, `was destroyed ${event.time}, before ${days[1]} days were over`);
  }
}

function lifeFindings(log, extent, say) {
  const inside = (step) => extent.since <= step.event.time && step.event.time < extent.until;
  for (const { index, event } of log.story.disposals) disposalFindings(index, event, log.story, say);
  const last = log.events.reduce((latest, event) => (event.time > latest ? event.time : latest), "");
  for (const [run, life] of log.story.lives) {
    const step = life.requested || life.started;
    const long = step && Date.parse(last) - Date.parse(step.event.time) > words.longestRun;
    if (step && !life.finished.length && inside(step) && long)
      say("unfinished", run, `was ${life.started ? "started" : "asked for"} and has no sealed record`);
    if (!life.requested && life.finished.length && inside(life.finished[0]))
      say("unannounced", run, "was sealed without ever having been asked for");
    if (new Set(life.finished.map(({ event }) => JSON.stringify(event.subjects))).size > 1)
      say("forged", run, "was sealed twice, each time with other files");
  }
}

// --- the page

const by = (id) => document.getElementById(id);
const MOST_ROWS = 1000;

function element(tag, content, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (Array.isArray(content)) made.append(...content);
  else made.textContent = content;
  return made;
}

function table(columns, rows) {
  const line = (tag, cells) => element("tr", cells.map((cell) => (cell.nodeType ? element(tag, [cell]) : element(tag, cell))));
  const made = element("table", [element("thead", [line("th", columns)]), element("tbody", rows.map((row) => line("td", row)))]);
  return element("div", [made], "wide");
}

function banner(kind, word, sentence) {
  by("verdict").className = kind;
  by("verdict").replaceChildren(element("strong", word), element("span", sentence));
}

function show(found, digest) {
  const sound = found.findings.length === 0;
  const looked = `${found.rows.length} runs, looked at in this browser without any network.`;
  banner(sound ? "sound" : "faulty", sound ? "✓ SOUND" : "✕ NOT SOUND", sound ? `All fits: ${looked}` : `${found.findings.length} faults: see below.`);
  const parts = [];
  if (!sound) {
    const rows = found.findings.map((one) => [element("b", one.kind), one.subject, one.why]);
    parts.push(element("h2", "What is wrong"), table(["What", "Where", "Why"], rows));
  }
  const told = found.manifest;
  if (told) {
    const period = `${told.since} to before ${told.until}`;
    const about = [["Control", told.control], ["Procedures", told.procedures.join(", ")], ["Asked for", period], ["Sample", `${told.draw.runs.length} runs`]];
    const figures = Object.entries(found.figures).map(([name, figure]) => [name, String(figure)]);
    parts.push(element("h2", "What it is about"), table(["", ""], [...about, ...figures]));
  }
  const keys = found.keys.map((key) => element("li", key));
  const items = [...(digest ? [element("li", `SHA-256 of the zip: ${digest}`)] : []), ...keys];
  parts.push(element("h2", "Compare with what you were told by another way"), element("ul", items, "mono"));
  parts.push(element("h2", "Not proven"), element("ul", found.unproven.map((why) => element("li", why))));
  if (told) parts.push(element("h2", "All runs"), population(found, new Set(told.draw.runs)));
  by("result").replaceChildren(...parts);
}

function population(found, drawn) {
  const rows = found.rows.slice(0, MOST_ROWS).map((one) => [
    (one.requested || one.started).slice(0, 19).replace("T", " "), one.state === "sealed" ? element("span", one.verdict, `v-${one.verdict}`) : one.state,
    one.procedure, `${one.system} (${one.environment})`, one.actor, one.cause, drawn.has(one.run) ? "drawn" : "", one.run,
  ]);
  const made = table(["When (UTC)", "Verdict", "Procedure", "System", "By", "Cause", "Sample", "Run"], rows);
  if (found.rows.length > MOST_ROWS) made.append(element("p", `The first ${MOST_ROWS} are shown; all are in population.csv.`));
  return made;
}

const bytesOf = async (file) => (file ? new Uint8Array(await file.arrayBuffer()) : null);

async function check(chosen) {
  banner("busy", "…", "Checking.");
  by("result").replaceChildren();
  try {
    const own = {};
    for (const name of ["policy", "runners", "head"]) own[name] = await bytesOf(by(`own-${name}`).files[0]);
    let files, digest = "";
    if (chosen.length === 1) {
      const zip = await bytesOf(chosen[0]);
      digest = hex(sha256(zip));
      files = await unzipped(zip);
    } else {
      files = new Map();
      const named = (file) => file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
      for (const file of chosen) files.set(named(file), await bytesOf(file));
    }
    show(await verified(files, own), digest);
  } catch (error) {
    const known = error instanceof NotSound || error instanceof CannotCheck;
    banner("unknown", "? NOT CHECKED", known ? `${error.message}.` : `It could not be read: ${error.message}.`);
  }
}

for (const id of ["zip", "folder"]) by(id).addEventListener("change", (event) => check([...event.target.files]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) check([...event.dataTransfer.files]);
});
