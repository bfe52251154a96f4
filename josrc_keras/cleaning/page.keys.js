// What keys and buttons do, and the start of the script. This part comes last.

const boxes = () => Array.from($("results").querySelectorAll("input[data-row]"));

function columnsOf(all) {
  if (view === "table") return 1;
  const top = all[0].closest("li").offsetTop;
  const next = all.findIndex((box) => box.closest("li").offsetTop > top);
  return next < 0 ? all.length : next;
}

/** Moves the focus to a sample, and scrolls until the bars do not cover it. */
function focusOn(box) {
  box?.focus({ preventScroll: true });
  box?.closest("li, tr").scrollIntoView({ block: "nearest" });
}

/** Handles keys that work on a sample. */
function onSampleKey(event) {
  const all = boxes();
  const here = all.indexOf(event.target);
  if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = columnsOf(all);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  const turns = { PageUp: -1, PageDown: 1 };
  if (event.key in steps) focusOn(all[here + steps[event.key]]);
  else if (event.key in turns) turnTo(page + turns[event.key], true);
  else if (event.key === "Home") focusOn(all[0]);
  else if (event.key === "End") focusOn(all.at(-1));
  else if (event.key === "x" && $("shortcuts").checked) event.target.click();
  else return;
  event.preventDefault();
}

/** Handles keys that work everywhere except where a person types. */
function onKey(event) {
  const writes = event.target.closest?.("input:not([type=checkbox]), select, dialog");
  if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!$("shortcuts").checked) return;
  const onSample = event.target.matches?.("[data-row]") ?? false;
  const actions = {
    "/": () => {
      $("side").open = true;
      controls.search.focus();
    },
    "?": () => $("help").showModal(),
    "[": () => turnTo(page - 1, onSample),
    "]": () => turnTo(page + 1, onSample),
    e: save,
  };
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
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
  $("class-order").addEventListener("input", showClasses);
  on("reset-filters", resetAll);
  on("one-set", () => {
    controls.set.value = "";
    applyFilters();
  });
  on("gallery", () => show("gallery"));
  on("table", () => show("table"));
  on("previous", () => turnTo(page - 1));
  on("next", () => turnTo(page + 1));
  on("tick-page", () => tick(pageRows(), 1));
  on("tick-all", () => tick(matches, 1));
  on("untick", () => tick(ticked.keys(), 0));
  on("export", save);
  on("theme", toggleTheme);
  on("show-help", () => $("help").showModal());
  on("close-help", () => $("help").close());
  $("results").addEventListener("click", (event) => {
    if (event.target.matches("[data-row]")) tickFrom(event.target, event.shiftKey);
  });
  $("results").addEventListener("focusin", (event) => {
    if (!event.target.matches("[data-row]")) return;
    for (const box of boxes()) box.tabIndex = box === event.target ? 0 : -1;
  });
  $("results").addEventListener("keydown", onSampleKey);
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  addEventListener("beforeunload", (event) => {
    if (!isSaved) event.preventDefault();
  });
}

showSummary();
showHistogram();
showClasses();
showPairs();
showLists();
makeFilters();
nameTheme();
$("side").open = !matchMedia("(max-width: 860px)").matches;
listen();
recall();
tick([], 0);
