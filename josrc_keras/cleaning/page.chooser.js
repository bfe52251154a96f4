// The choice of a class: the likeliest ones by number, and all of them as one types.

const SHOWN_CLASSES = 60;
const KEYED_CLASSES = 9;
let chosenRows = [];
let foldedClasses = null;
let confusedWith = null; // Per given class the classes that its samples look like.

/** Returns the classes that a row most likely has, without the given one. */
function likelyOf(row) {
  const known = data.likely[row];
  if (known) return known;
  confusedWith ??= countConfused();
  const others = [predicted[row], ...confusedWith[given[row]], ...recent];
  return [...new Set(others)].filter((label) => label !== given[row]).slice(0, KEYED_CLASSES);
}

/** Counts what the samples of each class look like, where the verdict is not clean. */
function countConfused() {
  const counts = classes.map(() => new Map());
  for (let row = 0; row < total; row++) {
    const own = counts[given[row]];
    if (verdicts[row]) own.set(predicted[row], (own.get(predicted[row]) ?? 0) + 1);
  }
  return counts.map((own) =>
    [...own].sort((a, b) => b[1] - a[1]).slice(0, KEYED_CLASSES).map(([label]) => label),
  );
}

/** Opens the choice for some rows. */
function openChooser(rows) {
  if (!rows.length) return;
  chosenRows = rows;
  $("class-search").value = "";
  $("chooser-for").textContent =
    rows.length === 1 ? ids[rows[0]] : count(rows.length, "selected sample");
  listClasses();
  $("chooser").showModal();
  $("class-search").focus();
}

/** Lists classes: the recent and the likely ones first, then those with the text. */
function listClasses() {
  foldedClasses ??= classes.map(folded);
  const wanted = folded($("class-search").value.trim());
  const first = wanted ? [] : [...recent, ...(chosenRows.length === 1 ? likelyOf(chosenRows[0]) : [])];
  const starts = [];
  const others = [];
  foldedClasses.forEach((name, label) => {
    if (name.startsWith(wanted)) starts.push(label);
    else if (name.includes(wanted)) others.push(label);
  });
  const found = [...new Set([...first, ...starts, ...others])];
  const options = found.slice(0, SHOWN_CLASSES).map((label, place) =>
    make(
      "li",
      {
        id: `class-${place}`,
        role: "option",
        "data-label": label,
        "aria-selected": String(place === 0),
        dir: "auto",
      },
      classes[label],
      recent.includes(label) && !wanted ? make("span", { class: "muted" }, "recent") : null,
    ),
  );
  $("class-list").replaceChildren(...options);
  $("class-more").textContent = found.length
    ? firstOf(options.length, found.length)
    : "No class has this in its name.";
  nameActive();
}

const activeOption = () => $("class-list").querySelector("[aria-selected=true]");

function nameActive() {
  const active = activeOption();
  if (active) $("class-search").setAttribute("aria-activedescendant", active.id);
  else $("class-search").removeAttribute("aria-activedescendant");
  active?.scrollIntoView({ block: "nearest" });
}

function choose(option) {
  if (!option) return;
  $("chooser").close();
  act(chosenRows, FIRST_CLASS + Number(option.dataset.label));
}

function onChooserKey(event) {
  const active = activeOption();
  const other = { ArrowDown: active?.nextSibling, ArrowUp: active?.previousSibling }[event.key];
  if (other) {
    active.setAttribute("aria-selected", "false");
    other.setAttribute("aria-selected", "true");
    nameActive();
  } else if (event.key === "Enter") choose(active);
  else if (event.key === "Escape") $("chooser").close();
  else if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
}

function listenToChooser() {
  $("class-search").addEventListener("input", listClasses);
  $("class-search").addEventListener("keydown", onChooserKey);
  $("class-list").addEventListener("click", (event) => choose(event.target.closest("li")));
  $("close-chooser").addEventListener("click", () => $("chooser").close());
}
