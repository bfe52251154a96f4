// The matching samples, a page at a time, as cards or as rows of a table.

function pageRows() {
  const size = PAGE_SIZES[view];
  return matches.slice(page * size, (page + 1) * size);
}

function render() {
  const pages = Math.max(1, Math.ceil(matches.length / PAGE_SIZES[view]));
  page = Math.max(0, Math.min(pages - 1, page));
  const rows = pageRows();
  const empty = make("p", { class: "empty" }, "No sample matches. ");
  empty.append(makeButton({ class: "link" }, resetAll, "Reset filters"));
  const shown = { gallery: makeGallery, table: makeRows, map: makeMap }[view];
  $("results").replaceChildren(rows.length ? shown(rows) : empty);
  $("page").textContent = `Page ${whole(page + 1)} of ${whole(pages)}`;
  $("previous").disabled = page === 0;
  $("next").disabled = page === pages - 1;
  for (const each of Object.keys(PAGE_SIZES)) $(each).setAttribute("aria-pressed", view === each);
  document.querySelector(".pager").hidden = view === "map";
  const [first] = handles();
  if (first) first.tabIndex = 0;
}

function makeBox(row) {
  const box = make("input", {
    type: "checkbox",
    "data-tick": row,
    "aria-label": `Select ${ids[row]}`,
    tabindex: -1,
  });
  box.checked = ticked[row] === 1;
  return make("label", { class: "tick" }, box);
}

/** Makes the button that has a sample's focus, and shows it large. */
function makeHandle(row, content, kind) {
  const attributes = {
    type: "button",
    class: kind,
    "data-row": row,
    "aria-label": handleName(row),
    tabindex: -1,
  };
  return make("button", attributes, content);
}

function makePicture(row) {
  const source = thumbnailOf(row);
  if (!source) return make("span", { class: "no-picture" }, "no thumbnail");
  const pixels = source.startsWith("data:image/png"); // Small images: see report.py.
  const image = make("img", { alt: "", class: pixels && "pixels", decoding: "async" });
  image.src = source;
  return image;
}

function makeVerdict(row) {
  const { name } = VERDICTS[verdicts[row]];
  return make("span", { class: "verdict" }, mark(verdicts[row]), name);
}

function makeSuggestion(row) {
  const same = predicted[row] === given[row];
  const name = same ? "the same" : classes[predicted[row]];
  const title = classes[predicted[row]];
  return make("span", { class: same ? "muted" : "suggested", title }, name);
}

function probability(row) {
  const score = scores.predicted_probability[row];
  return score < 0 ? "–" : percent(score / SCALE, 0);
}

function makeScore(name, title, score) {
  const bar = make("span", { class: "meter" }, sized(make("i"), score / SCALE));
  const number = make("span", { class: "number" }, decimal(score));
  return make("span", { class: "score", title }, make("span", {}, name), bar, number);
}

/** Makes a bar of how often each verdict was given in the last epochs. */
function makeHistory(row) {
  const shares = SHARED.map(({ share }) => scores[share][row]);
  if (shares.some((share) => share < 0)) return make("span", { class: "muted" }, "–");
  const text = shares
    .map((share, verdict) => `${percent(share / SCALE, 0)} ${SHARED[verdict].name}`)
    .join(", ");
  const label = `Verdicts of the last epochs: ${text}`;
  const parts = shares.map((share, verdict) =>
    sized(make("i", { class: `v${verdict}` }), share / SCALE),
  );
  const attributes = { class: "stack", role: "img", title: label, "aria-label": label };
  return make("span", attributes, ...parts);
}

function makeDuplicate(row) {
  const set = duplicates[row];
  if (set < 0) return null;
  const differ = conflicts.has(set);
  const title = differ
    ? "The same image also has another label: show all"
    : "The same image occurs more than once: show all";
  const text = differ ? "≠ twice" : "= twice";
  const attributes = { class: differ ? "twice differs" : "twice", title, "aria-label": title };
  return makeButton(attributes, () => showOnly({ set }), text);
}

function makeCard(row) {
  const name = classes[given[row]];
  return make(
    "li",
    { class: `card${ticked[row] ? " ticked" : ""}${decided[row] ? " decided" : ""}` },
    makeHandle(row, makePicture(row), "picture"),
    makeBox(row),
    makeDuplicate(row),
    makeDecision(row),
    makeVerdict(row),
    make(
      "dl",
      { class: "labels" },
      make("dt", {}, "given"),
      make("dd", { title: name, dir: "auto" }, name),
      make("dt", {}, "suggested"),
      make("dd", { dir: "auto" }, makeSuggestion(row), make("span", { class: "number" }, probability(row))),
    ),
    makeScore("label", "label score: 0 wrong, 1 right", scores.label_score[row]),
    makeScore("OOD", "out-of-distribution score: 1 shows no class", scores.ood_score[row]),
    hasHistory
      ? make("span", { class: "score" }, make("span", {}, "epochs"), makeHistory(row))
      : null,
    make("div", { class: "id" }, shortened(ids[row])),
  );
}

/** Makes the heading of a group, where the order has groups. */
function groupOf(row) {
  const order = controls.sort.value;
  if (order === "given+") return classes[given[row]];
  if (order === "pair+") return `${classes[given[row]]} → ${classes[predicted[row]]}`;
  if (order !== "set+") return null;
  return duplicates[row] < 0 ? "No duplicates" : `Duplicates, set ${duplicates[row]}`;
}

function makeGallery(rows) {
  let group = null;
  const items = rows.flatMap((row) => {
    const its = groupOf(row);
    const heading = its !== group ? [make("li", { class: "group", dir: "auto" }, its)] : [];
    group = its;
    return [...heading, makeCard(row)];
  });
  return make("ul", { class: "gallery", "aria-label": "Samples" }, ...items);
}

const TABLE = [
  ["tick", null, makeBox],
  ["picture", null, makePicture],
  ["id", "id", (row) => makeHandle(row, shortened(ids[row], 14), "handle")],
  ["decision", "decision", makeDecision],
  ["given", "given", (row) => make("span", { dir: "auto" }, classes[given[row]])],
  ["suggested", "predicted", makeSuggestion],
  ["probability", "predicted_probability", probability],
  ["verdict", "verdict", makeVerdict],
  ["issue", "issue", (row) => (data.issues[row] === "1" ? "yes" : "no")],
  ["label score", "label_score", (row) => decimal(scores.label_score[row])],
  ["OOD score", "ood_score", (row) => decimal(scores.ood_score[row])],
  ["clean likelihood", "clean_likelihood", (row) => decimal(scores.clean_likelihood[row])],
  ["last epochs", "clean_share", makeHistory],
  ["duplicate", "set", (row) => makeDuplicate(row) ?? ""],
];

function makeRows(rows) {
  const left = {
    picture: !some,
    issue: !issuesDiffer,
    "last epochs": !hasHistory,
    duplicate: !hasDuplicates,
  };
  const columns = TABLE.filter(([name]) => !left[name]);
  const head = columns.map(([name, key]) => {
    const column = { scope: "col", class: `is-${name.replace(" ", "-")}` };
    if (!key) return make("th", column, name);
    const now = controls.sort.value;
    const up = now === `${key}+`;
    const sort = now.slice(0, -1) !== key ? null : up ? "ascending" : "descending";
    const arrow = sort ? (up ? " ↑" : " ↓") : "";
    const button = makeButton({}, () => sortBy(`${key}${up ? "-" : "+"}`), name, arrow);
    return make("th", { ...column, "aria-sort": sort }, button);
  });
  const body = rows.map((row) => {
    const cells = columns.map(([name, , cell]) =>
      make("td", { class: `is-${name.replace(" ", "-")}` }, cell(row)),
    );
    const kind = `${ticked[row] ? "ticked " : ""}${decided[row] ? "decided" : ""}`;
    return make("tr", { class: kind }, ...cells);
  });
  const table = make(
    "table",
    { class: "samples-table" },
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...body),
  );
  return make("div", { class: "scrolls" }, table);
}

function sortBy(order) {
  addOrder(order);
  applyFilters();
}

function show(next) {
  onlyThumbnails[view] = controls.thumbnail.checked;
  view = next;
  controls.thumbnail.checked = onlyThumbnails[view];
  applyFilters();
}

function turnTo(next, focus = false) {
  page = next;
  render();
  remember();
  if ($("results").getBoundingClientRect().top < 0) $("samples").scrollIntoView();
  if (focus) focusOn(handles()[0]);
}

function resetAll() {
  resetFilters();
  applyFilters();
}
