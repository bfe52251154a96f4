// What keys and buttons do, and the start of the script. This part comes last.

const handles = () => Array.from($("results").querySelectorAll("button[data-row]"));
const dialogs = ["preview", "chooser", "help"];
const openDialog = () => dialogs.find((id) => $(id).open) ?? null;

function columnsOf(all) {
  if (view === "table") return 1;
  const top = all[0].closest("li").offsetTop;
  const next = all.findIndex((handle) => handle.closest("li").offsetTop > top);
  return next < 0 ? all.length : next;
}

/** Moves the focus to a sample, and scrolls until the bars do not cover it. */
function focusOn(handle) {
  handle?.focus({ preventScroll: true });
  handle?.closest("li, tr").scrollIntoView({ block: "nearest" });
}

/** Moves the focus to a row, on its page. */
function goTo(row) {
  if (view === "map") return markOnMap(row);
  const place = matches.indexOf(row);
  if (place < 0) return focusOn(handles()[0]);
  const its = Math.floor(place / PAGE_SIZES[view]);
  if (its !== page) turnTo(its);
  focusOn(handles().find((handle) => +handle.dataset.row === row));
}

const focused = () => Number(document.activeElement?.dataset?.row ?? -1);

/** The rows that a decision is about: the large one, the selected ones, or the focused. */
function targets() {
  if (current >= 0) return [current];
  const selected = tickedRows();
  if (selected.length) return selected;
  return focused() < 0 ? [] : [focused()];
}

/** Decides rows, or agrees with the audit's suggestions, and goes to the next sample. */
function act(rows, code) {
  if (!rows.length) return announce("Move to a sample, or select some, and decide then.");
  const last = rows.at(-1);
  const wasSelection = current < 0 && ticked[last] === 1;
  const number = code === null ? agree(rows) : decide(rows, code);
  if (wasSelection) tick(ticked.keys(), 0);
  const what = code === null ? "as suggested" : nameOf(code);
  const who = rows.length === 1 ? ids[last] : count(number, "sample");
  if (code === null && rows.length === 1 && suggestedCode(last) === null) {
    return announce("The audit suggests nothing here. Choose a class.");
  }
  const next = nextOpen(last);
  const isEnd = next < 0 ? " All that match are decided." : "";
  announce(`${who}: ${what}.${isEnd}`);
  if (code === OPEN || next < 0) return current < 0 ? goTo(last) : undefined;
  if (current >= 0) showPreview(next);
  else goTo(next);
}

/** Undoes or redoes a step, and shows what it was about. */
function takeBack(how) {
  const rows = how();
  if (!rows) return announce(how === undo ? "Nothing to undo." : "Nothing to redo.");
  const last = rows.at(-1);
  const who = rows.length === 1 ? ids[last] : count(rows.length, "sample");
  announce(`${how === undo ? "Undone" : "Redone"}: ${who}, ${nameOf(decided[last])}.`);
  if (current >= 0) showPreview(last);
  else goTo(last);
}

function nameDecideButtons() {
  const number = ticked.reduce((sum, each) => sum + each, 0);
  for (const button of $("decide").querySelectorAll("button")) button.disabled = number === 0;
  $("decide-for").textContent = number
    ? `${whole(number)} selected:`
    : "Select samples to decide them together:";
}

/** Handles keys that move among the samples. */
function onSampleKey(event) {
  const all = handles();
  const here = all.indexOf(event.target);
  if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = columnsOf(all);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const turns = { PageUp: -1, PageDown: 1 };
  if (event.key in steps) focusOn(all[here + steps[event.key]]);
  else if (event.key in turns) turnTo(page + turns[event.key], true);
  else if (event.key === "Home") focusOn(all[0]);
  else if (event.key === "End") focusOn(all.at(-1));
  else return;
  event.preventDefault();
}

const DECIDES = { k: KEEP, n: NONE, u: UNSURE, d: DELETE, 0: OPEN, a: null };

/** Returns what a key of one letter does, or undefined. */
function actionOf(key) {
  if (Object.hasOwn(DECIDES, key)) return () => act(targets(), DECIDES[key]);
  if (/^[1-9]$/.test(key)) return () => actByNumber(Number(key));
  const row = current >= 0 ? current : focused();
  return {
    c: () => openChooser(targets()),
    r: () => (recent.length ? act(targets(), FIRST_CLASS + recent[0]) : openChooser(targets())),
    z: () => takeBack(undo),
    y: () => takeBack(redo),
    Z: () => takeBack(redo),
    x: () => row >= 0 && tickFrom(row, !ticked[row], false),
    X: () => row >= 0 && tickFrom(row, true, true),
    "?": () => $("help").showModal(),
    e: () => !$("export-csv").disabled && exportDecisions("csv"),
    f: () => openPreview(row),
    "/": () => {
      $("side").open = true;
      controls.search.focus();
    },
    "[": () => turnTo(page - 1, row >= 0),
    "]": () => turnTo(page + 1, row >= 0),
  }[key];
}

function openPreview(row) {
  if (current >= 0) return $("preview").close();
  const first = row >= 0 ? row : (matches.find((each) => decided[each] === OPEN) ?? matches[0]);
  if (first !== undefined) showPreview(first);
}

/** Gives samples the class of a number key: of each row its own. */
function actByNumber(number) {
  const rows = targets();
  const label = rows.length ? likelyOf(rows[0])[number - 1] : undefined;
  if (label === undefined) return announce(`No class has the key ${number} here.`);
  act(rows, FIRST_CLASS + label);
}

/** Handles keys that work everywhere except where a person types. */
function onKey(event) {
  const dialog = openDialog();
  const isUndo = (event.ctrlKey || event.metaKey) && "zy".includes(event.key.toLowerCase());
  const writes = event.target.closest?.("input:not([type=checkbox]), select, textarea");
  if (writes || dialog === "chooser" || dialog === "help") return;
  if (isUndo) {
    event.preventDefault();
    return takeBack(event.key === "z" ? undo : redo);
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (dialog === "preview") {
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    const isOnButton = event.target.matches("button");
    if (event.key in moves) turnPreview(moves[event.key]);
    else if (event.key === " " && !isOnButton) $("preview").close();
    else return onLetter(event, "/[]xXfe");
    return event.preventDefault();
  }
  if (event.key === "Escape" && tickedRows().length) return tick(ticked.keys(), 0);
  onLetter(event, "");
}

function onLetter(event, without) {
  if (!$("shortcuts").checked || without.includes(event.key)) return;
  const action = event.key.length === 1 ? actionOf(event.key) : undefined;
  if (!action) return;
  event.preventDefault();
  action();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
  if (view === "map") render();
}

function nameTheme() {
  $("theme").textContent = isDark() ? "Light theme" : "Dark theme";
}

function listen() {
  const on = (id, action) => $(id).addEventListener("click", action);
  let waiting;
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    const isTyped = ["search", "number"].includes(event.target.type);
    waiting = setTimeout(applyFilters, isTyped ? 150 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  controls.search.addEventListener("focus", () => idHits("\0"), { once: true });
  $("class-order").addEventListener("input", showClasses);
  on("reset-filters", resetAll);
  on("one-set", () => {
    controls.set.value = "";
    applyFilters();
  });
  on("one-region", () => {
    controls.region.value = "";
    applyFilters();
  });
  on("gallery", () => show("gallery"));
  on("table", () => show("table"));
  on("map", () => show("map"));
  addEventListener("resize", () => view === "map" && drawMap());
  on("previous", () => turnTo(page - 1));
  on("next", () => turnTo(page + 1));
  on("tick-page", () => tick(pageRows(), 1));
  on("tick-all", () => tick(matches, 1));
  on("untick", () => tick(ticked.keys(), 0));
  on("export", save);
  on("export-csv", () => exportDecisions("csv"));
  on("export-json", () => exportDecisions("json"));
  on("import", () => $("import-file").click());
  on("undo", () => takeBack(undo));
  on("redo", () => takeBack(redo));
  on("start", () => openPreview(-1));
  on("mine", () => settle(false));
  on("theirs", () => settle(true));
  on("show-conflicts", () => showOnly({ decision: "conflict" }));
  on("decide-class", () => openChooser(tickedRows()));
  for (const button of $("decide").querySelectorAll("[data-key]")) {
    const code = DECIDES[button.dataset.key];
    button.addEventListener("click", () => act(tickedRows(), code));
  }
  $("import-file").addEventListener("change", async (event) => {
    await importFiles([...event.target.files]);
    event.target.value = "";
  });
  listenToChooser();
  listenToPreview();
  on("theme", toggleTheme);
  on("show-help", () => $("help").showModal());
  on("close-help", () => $("help").close());
  $("results").addEventListener("click", (event) => {
    const box = event.target.closest("[data-tick]");
    if (box) return tickFrom(+box.dataset.tick, box.checked, event.shiftKey);
    const handle = event.target.closest("[data-row]");
    if (handle) showPreview(+handle.dataset.row);
  });
  $("results").addEventListener("focusin", (event) => {
    if (!event.target.matches("[data-row]")) return;
    for (const each of handles()) each.tabIndex = each === event.target ? 0 : -1;
  });
  $("results").addEventListener("keydown", onSampleKey);
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  addEventListener("beforeunload", (event) => {
    if ((!isKept && !isExported) || !isSent) event.preventDefault();
  });
}

showSummary();
showHistogram();
showClasses();
showPairs();
showLists();
makeFilters();
$("map").hidden = !hasMap;
nameTheme();
$("side").open = !matchMedia("(max-width: 860px)").matches;
recallSteps();
takeStored();
listen();
recall();
tick([], 0);
showProgress();
startServed();
