// Decisions as files, CSV and JSON, and what two people decided merged into one.

const FILE_COLUMNS = ["id", "given_name", "decision", "new_name", "time"];

/** What a spreadsheet would run as a formula; `_files.py` has the same. */
const FORMULA = /^'*([\t\r\n]|[ \u00a0]*[=+@\uff1d\uff0b\uff0d\uff20-])/;

function quoted(value) {
  const isFormula = typeof value === "string" && FORMULA.test(value);
  const text = isFormula ? `'${value}` : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
const unquoted = (text) => (text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text);

/** Returns the decided rows as objects, in the order of the audit. */
function decidedRows() {
  const rows = [];
  decided.forEach((code, row) => {
    if (code === OPEN) return;
    const isClass = code >= FIRST_CLASS;
    rows.push({
      id: ids[row],
      given_name: classes[given[row]],
      decision: isClass ? "relabel" : WORDS[code],
      new_name: isClass ? nameOf(code) : code === KEEP ? classes[given[row]] : "",
      time: new Date(times[row]).toISOString(),
    });
  });
  return rows;
}

function decisionsCsv() {
  const lines = decidedRows().map((each) => FILE_COLUMNS.map((name) => quoted(each[name])));
  return `${[FILE_COLUMNS, ...lines].map((cells) => cells.join(",")).join("\n")}\n`;
}

function decisionsJson() {
  const file = { title: data.title, audit: data.audit, decisions: decidedRows() };
  return `${JSON.stringify(file, null, 1)}\n`;
}

function download(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function exportDecisions(kind) {
  if (kind === "json") download(decisionsJson(), "decisions.json", "application/json");
  else download(decisionsCsv(), "decisions.csv", "text/csv");
  isExported = true;
  announce(`${count(decidedRows().length, "decision")} exported`);
}

/** Splits a CSV file into rows of texts. */
function parseCsv(text) {
  const rows = [[""]];
  let isQuoted = false;
  for (const [token] of text.replace(/^\ufeff/, "").matchAll(/"|,|\r?\n|[^",\r\n]+|\r/g)) {
    const row = rows.at(-1);
    if (token === '"') {
      if (!isQuoted && row.closed) row[row.length - 1] += '"'; // A doubled quote.
      row.closed = isQuoted;
      isQuoted = !isQuoted;
      continue;
    }
    row.closed = false;
    if (isQuoted) row[row.length - 1] += token;
    else if (token === ",") row.push("");
    else if (token.endsWith("\n")) rows.push([""]);
    else row[row.length - 1] += token;
  }
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

/** Returns the decisions in a file's text as objects. */
function parseDecisions(text) {
  if (/^\s*[{[]/.test(text)) {
    const file = JSON.parse(text);
    return Array.isArray(file) ? file : (file.decisions ?? []);
  }
  const [head = [], ...rows] = parseCsv(text);
  if (!head.includes("id") || !head.includes("decision")) {
    throw new Error("it has no columns `id` and `decision`");
  }
  return rows.map((row) =>
    Object.fromEntries(head.map((name, place) => [name, unquoted(row[place] ?? "")])),
  );
}

/** Returns the code of a decision of a file; null for one that this page doesn't know. */
function readCode(row, { decision, new_name }) {
  if (decision !== "relabel") {
    const code = WORDS.indexOf(decision);
    return code > OPEN ? code : null;
  }
  const label = classes.indexOf(String(new_name));
  return label < 0 ? null : codeOf(row, label);
}

/** Adds the decisions of a file to those here. Where both differ, both are kept. */
function merge(read) {
  takeStored();
  const places = new Map(ids.map((id, row) => [id, row]));
  const found = { added: 0, same: 0, conflicts: 0, unknown: 0 };
  const changes = [];
  for (const each of read) {
    const row = places.get(String(each.id));
    const isSame = row !== undefined && (each.given_name ?? classes[given[row]]) === classes[given[row]];
    const code = isSame ? readCode(row, each) : null;
    if (code === null) found.unknown++;
    else if (decided[row] === code) found.same++;
    else if (decided[row] === OPEN) {
      found.added++;
      changes.push([row, code]);
    } else {
      found.conflicts++;
      changes.push([row, decided[row], [code, Date.parse(each.time) || 0]]);
    }
  }
  change(changes);
  return found;
}

async function importFiles(files) {
  const said = [];
  for (const file of files) {
    try {
      const found = merge(parseDecisions(await file.text()));
      const unknown = found.unknown
        ? `, ${whole(found.unknown)} of other samples, labels or classes left out`
        : "";
      said.push(
        `${file.name}: ${whole(found.added)} added, ${whole(found.same)} the same, ` +
          `${count(found.conflicts, "conflict")}${unknown}.`,
      );
    } catch (error) {
      said.push(`${file.name} can't be read as decisions: ${error.message}.`);
    }
  }
  announce(said.join(" "));
  applyFilters();
}

/** Settles all conflicts by what is here, or by what the imported files say. */
function settle(useTheirs) {
  const changes = Array.from(theirs, ([row, [code]]) => [row, useTheirs ? code : decided[row]]);
  announce(`${count(change(changes), "conflict")} settled`);
}
