// The decisions: what a person says of each sample. The browser keeps them under the
// audit's key, so that neither a reload nor a crash nor a second tab loses any.

const OPEN = 0;
const KEEP = 1;
const NONE = 2;
const UNSURE = 3;
const DELETE = 4;
const FIRST_CLASS = 5; // This code and those above it are classes.
const WORDS = ["", "keep", "none", "unsure", "delete"]; // A class is "relabel".
const SAID = ["open", "keep", "none of these", "unsure", "delete"];
const KEPT_STEPS = 1000; // Steps that can be undone after a reload.

const decided = new Int32Array(total); // Codes.
const times = new Float64Array(total); // Milliseconds since 1970; 0 is never.
let theirs = new Map(); // Rows on which an imported file differs: [code, time].
let past = [];
let future = [];
let recent = []; // Classes that were chosen, the last one first.
const storageKey = `josrc-decisions:${data.audit}`;
const stepsKey = `josrc-steps:${data.audit}`;
let stored = null; // The text that the browser keeps, as far as this tab knows.
let isKept = true;
let isExported = true;

const nameOf = (code) => (code < FIRST_CLASS ? SAID[code] : classes[code - FIRST_CLASS]);
const now = () => Date.now();

/** Returns the code of a class for a row: its own class is to keep its label. */
const codeOf = (row, label) => (label === given[row] ? KEEP : FIRST_CLASS + label);

/** Returns the code of what the audit suggests, or null where it suggests nothing. */
function suggestedCode(row) {
  const { key } = VERDICTS[verdicts[row]];
  if (key === "clean") return KEEP;
  if (key === "out_of_distribution") return NONE;
  return key === "in_distribution_noise" ? codeOf(row, predicted[row]) : null;
}

/** Writes all decisions to the browser's storage. */
function store() {
  const rows = [];
  times.forEach((time, row) => {
    if (time) rows.push(row);
  });
  const text = JSON.stringify({
    rows,
    codes: rows.map((row) => decided[row]),
    times: rows.map((row) => times[row]),
    theirs: [...theirs],
  });
  try {
    localStorage.setItem(storageKey, text);
    stored = text;
    isKept = true;
  } catch {
    isKept = false; // It is full or switched off: the page says so.
  }
  try {
    const steps = JSON.stringify({ past: past.slice(-KEPT_STEPS), future, recent });
    sessionStorage.setItem(stepsKey, steps.length < 1e6 ? steps : "{}");
  } catch {
    // Only undo after a reload is lost.
  }
}

/** Takes over what another tab has stored since; of two decisions the later counts. */
function takeStored() {
  let text = null;
  try {
    text = localStorage.getItem(storageKey);
  } catch {
    isKept = false;
  }
  if (text === null || text === stored) return false;
  stored = text;
  let kept;
  try {
    kept = JSON.parse(text);
  } catch {
    return false;
  }
  kept.rows.forEach((row, place) => {
    const code = kept.codes[place];
    if (row >= total || code >= FIRST_CLASS + classes.length) return;
    if (kept.times[place] < times[row]) return;
    decided[row] = code;
    times[row] = kept.times[place];
  });
  theirs = new Map(kept.theirs);
  return true;
}

function recallSteps() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(stepsKey) ?? "{}");
    past = kept.past ?? [];
    future = kept.future ?? [];
    recent = (kept.recent ?? []).filter((label) => label < classes.length);
  } catch {
    past = future = [];
  }
}

function put(row, code, conflict) {
  decided[row] = code;
  times[row] = Math.max(now(), times[row] + 1);
  if (conflict) theirs.set(row, conflict);
  else theirs.delete(row);
}

/** Decides rows: each change is [row, new code, what an imported file says, or null]. */
function change(changes) {
  takeStored();
  const step = changes
    .map(([row, code, conflict = null]) => {
      return { row, from: [decided[row], theirs.get(row) ?? null], to: [code, conflict] };
    })
    .filter(({ from, to }) => from[0] !== to[0] || from[1] !== to[1]);
  if (!step.length) return 0;
  for (const { row, to } of step) put(row, ...to);
  past.push(step);
  future = [];
  afterChange(step.map(({ row }) => row));
  return step.length;
}

function decide(rows, code) {
  if (code >= FIRST_CLASS) {
    const label = code - FIRST_CLASS;
    recent = [label, ...recent.filter((each) => each !== label)].slice(0, 9);
  }
  const own = (row) => (code >= FIRST_CLASS ? codeOf(row, code - FIRST_CLASS) : code);
  return change(Array.from(rows, (row) => [row, own(row)]));
}

/** Decides rows as the audit suggests, where it suggests anything. */
function agree(rows) {
  const codes = Array.from(rows, (row) => [row, suggestedCode(row)]);
  return change(codes.filter(([, code]) => code !== null));
}

function step(from, to, side) {
  takeStored();
  const last = from.pop();
  if (!last) return null;
  for (const each of last) put(each.row, ...each[side]);
  to.push(last);
  const rows = last.map(({ row }) => row);
  afterChange(rows);
  return rows;
}
const undo = () => step(past, future, "from");
const redo = () => step(future, past, "to");

/** Stores, and shows what changed. */
function afterChange(rows) {
  isExported = false;
  store();
  send();
  refresh(rows);
}

/** Shows the decisions anew where they are shown. */
function refresh(rows) {
  const changed = new Set(rows);
  for (const handle of handles()) {
    const row = +handle.dataset.row;
    if (changed.has(row)) showDecision(handle.closest("li, tr"), row);
  }
  showProgress();
  nameDecideButtons();
  refreshPreview(changed);
}

function makeDecision(row) {
  const code = decided[row];
  const differs = theirs.has(row);
  const kind = code < FIRST_CLASS ? WORDS[code] : "relabel";
  const text = code >= FIRST_CLASS ? `→ ${nameOf(code)}` : nameOf(code);
  const also = differs ? ` ≠ ${nameOf(theirs.get(row)[0])}` : "";
  const attributes = { class: `decision ${kind}${differs ? " differs" : ""}`, dir: "auto" };
  return make("span", attributes, code || differs ? `${text}${also}` : "");
}

function showDecision(node, row) {
  node.classList.toggle("decided", decided[row] !== OPEN);
  node.querySelector(".decision").replaceWith(makeDecision(row));
  const handle = node.querySelector("[data-row]");
  if (handle) handle.setAttribute("aria-label", handleName(row));
}

/** What a screen reader says of a sample. */
function handleName(row) {
  const said = decided[row] ? `decided: ${nameOf(decided[row])}` : "not decided";
  return `${ids[row]}, given ${classes[given[row]]}, suggested ${classes[predicted[row]]}, ${said}`;
}

/** Whether a row has the wanted state of the filter of decisions. */
function hasState(row, wanted) {
  const code = decided[row];
  if (wanted === "open") return code === OPEN;
  if (wanted === "done") return code !== OPEN;
  if (wanted === "relabel") return code >= FIRST_CLASS;
  if (wanted === "conflict") return theirs.has(row);
  return WORDS[code] === wanted;
}

/** Returns the next undecided match after a row, or before all others; -1 for none. */
function nextOpen(row) {
  const here = matches.indexOf(row);
  for (let step = 1; step <= matches.length; step++) {
    const next = matches[(here + step) % matches.length];
    if (decided[next] === OPEN) return next;
  }
  return -1;
}

/** Says something that is not on the page, also to screen readers. */
function announce(text) {
  $("said").textContent = text;
  $("said-here").textContent = text;
}

addEventListener("storage", (event) => {
  if (event.key === storageKey && takeStored()) refresh(handles().map((each) => +each.dataset.row));
});
