// The samples that match the filters, and their order.

const form = $("filters");
const controls = form.elements;
const some = Object.keys(thumbnails).length > 0;
const all = Object.keys(thumbnails).length === total;
// Cards without an image are of little use, so each view has its own setting.
const onlyThumbnails = { gallery: some && !all, table: false, map: false };
let view = some ? "gallery" : "table";
let matches = [];
let page = 0;
const orders = {};
const folded = (text) => text.normalize("NFC").toLowerCase();
let joined = null; // All ids, folded, as one text, and where each starts.

/** Returns the numbers of duplicate sets whose images have different given labels. */
function conflictingSets() {
  const labels = new Map();
  const differing = new Set();
  duplicates.forEach((set, row) => {
    if (set < 0) return;
    if (!labels.has(set)) labels.set(set, given[row]);
    else if (labels.get(set) !== given[row]) differing.add(set);
  });
  return differing;
}

function makeFilters() {
  const counts = VERDICTS.map(() => 0);
  for (const verdict of verdicts) counts[verdict]++;
  VERDICTS.forEach(({ name }, verdict) => {
    const input = { type: "checkbox", name: "verdict", value: verdict, checked: true };
    const number = make("span", { class: "muted" }, whole(counts[verdict]));
    const label = [make("input", input), mark(verdict), name, " ", number];
    $("verdict-filter").append(make("label", { class: "check" }, ...label));
  });
  const options = (labels) => {
    const seen = new Uint32Array(classes.length);
    for (const label of labels) seen[label]++;
    return [
      make("option", { value: "" }, "any"),
      ...classes.map((name, label) =>
        make("option", { value: label }, `${name} (${whole(seen[label])})`),
      ),
    ];
  };
  controls.given.append(...options(given));
  controls.predicted.append(...options(predicted));
  $("duplicate-filter").hidden = !hasDuplicates;
  $("thumbnail-filter").hidden = !some;
  controls.thumbnail.checked = onlyThumbnails[view];
}

const scoreKeys = (name, sign) =>
  scores[name].map((each) => (each < 0 ? SCALE + 1 : sign * each));

/** Returns a number of each row by which a column is sorted. */
function columnKeys(name, sign) {
  if (name === "pair") return pairKeys();
  const keys = {
    given: (row) => given[row],
    predicted: (row) => predicted[row],
    verdict: (row) => verdicts[row],
    issue: (row) => Number(data.issues[row]),
    decision: (row) => decided[row],
    set: (row) => (duplicates[row] < 0 ? sign * total : duplicates[row]),
  }[name];
  return Float64Array.from(ids, (_, row) => sign * keys?.(row));
}

/** Numbers confused pairs, the most frequent first; samples of none come last. */
function pairKeys() {
  const counts = new Map();
  const pair = (row) => given[row] * classes.length + predicted[row];
  const isPair = (row) => verdicts[row] > 0 && given[row] !== predicted[row];
  for (let row = 0; row < total; row++) {
    if (isPair(row)) counts.set(pair(row), (counts.get(pair(row)) ?? 0) + 1);
  }
  const ranks = new Map([...counts].sort((a, b) => b[1] - a[1]).map(([key], rank) => [key, rank]));
  return Float64Array.from(ids, (_, row) => (isPair(row) ? ranks.get(pair(row)) : ranks.size));
}

const isColumnOrder = (order) =>
  /^(decision|given|predicted|verdict|issue|clean_likelihood|clean_share|set)[+-]$/.test(order);

/** Chooses an order, which the form may not offer. */
function addOrder(order) {
  if (![...controls.sort.options].some(({ value }) => value === order)) {
    const [name, sign] = [order.slice(0, -1).replaceAll("_", " "), order.at(-1)];
    const text = `${name}, ${sign === "+" ? "ascending" : "descending"}`;
    controls.sort.append(make("option", { value: order }, text));
  }
  controls.sort.value = order;
}

/** Returns row numbers in an order such as "label_score+". Missing scores come last. */
function ordered(order) {
  if (orders[order] && !order.startsWith("decision")) return orders[order];
  const rows = Uint32Array.from(ids, (_, row) => row);
  const [name, sign] = [order.slice(0, -1), order.endsWith("-") ? -1 : 1];
  if (name === "id") {
    const { compare } = new Intl.Collator("en", { numeric: true });
    rows.sort((a, b) => sign * compare(ids[a], ids[b]) || a - b);
  } else if (name !== "row") {
    const keys = scores[name] ? scoreKeys(name, sign) : columnKeys(name, sign);
    const worst = scores.label_score;
    const then = scores[name] ? () => 0 : (a, b) => worst[a] - worst[b];
    rows.sort((a, b) => keys[a] - keys[b] || then(a, b) || a - b);
  }
  orders[order] = rows;
  return rows;
}

/** Returns a function that says whether a row matches the search. */
function searched(text) {
  const wanted = folded(text.trim());
  if (!wanted) return () => true;
  const named = classes.map((name) => folded(name).includes(wanted));
  const hits = idHits(wanted);
  return (row) => hits[row] === 1 || named[given[row]] || named[predicted[row]];
}

/** Finds the ids with a text, in all ids as one text: that is quick for many rows. */
function idHits(wanted) {
  if (!joined) {
    const each = ids.map(folded);
    let start = 0;
    const starts = Uint32Array.from(each, (id) => (start += id.length + 1) - id.length - 1);
    joined = { text: `${each.join("\0")}\0`, starts };
  }
  const { text: all, starts } = joined;
  const hits = new Uint8Array(total);
  let row = 0;
  for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, starts[row])) {
    while (row + 1 < total && starts[row + 1] <= at) row++;
    hits[row++] = 1;
    if (row === total) break;
  }
  return hits;
}

/** Returns the rows that match the form, in its order, and how many lack a thumbnail. */
function matching() {
  const wanted = Array.from(controls.verdict, (input) => input.checked);
  const number = (control) => (control.value === "" ? null : Number(control.value));
  const [givenLabel, predictedLabel] = [number(controls.given), number(controls.predicted)];
  const [low, high, set] = [number(controls.low), number(controls.high), number(controls.set)];
  const ranged = low !== null || high !== null;
  const duplicate = controls.duplicate.value;
  const state = controls.decision.value;
  const isFound = searched(controls.search.value);
  const isInside = controls.region.value && hasMap ? inRegion() : null;
  const found = [];
  let without = 0;
  for (const row of ordered(controls.sort.value)) {
    if (!wanted[verdicts[row]]) continue;
    if (givenLabel !== null && given[row] !== givenLabel) continue;
    if (predictedLabel !== null && predicted[row] !== predictedLabel) continue;
    if (ranged) {
      const score = scores.label_score[row] / SCALE;
      if (score < (low ?? 0) || score > (high ?? 1)) continue;
    }
    if (set !== null && duplicates[row] !== set) continue;
    if (duplicate === "any" && duplicates[row] < 0) continue;
    if (duplicate === "conflict" && !conflicts.has(duplicates[row])) continue;
    if (state && !hasState(row, state)) continue;
    if (isInside && !isInside(row)) continue;
    if (!isFound(row)) continue;
    if (controls.thumbnail.checked && !(row in thumbnails)) without++;
    else found.push(row);
  }
  return [found, without];
}

function applyFilters() {
  let without;
  [matches, without] = matching();
  page = 0;
  $("count").replaceChildren(
    make("b", {}, whole(matches.length)),
    ` of ${whole(total)} match`,
  );
  $("tick-all").textContent = `Select all ${whole(matches.length)} that match`;
  $("tick-all").disabled = $("tick-page").disabled = matches.length === 0;
  $("more").hidden = without === 0;
  $("more").replaceChildren(
    `${whole(without)} more match but have no thumbnail. `,
    makeButton({ class: "link" }, showWithout, "Show them too"),
  );
  $("one-set").hidden = controls.set.value === "";
  $("one-set").textContent = `Only one image (set ${controls.set.value}) ×`;
  $("one-region").hidden = controls.region.value === "";
  render();
  remember();
}

function showWithout() {
  controls.thumbnail.checked = onlyThumbnails[view] = false;
  applyFilters();
}

function resetFilters() {
  form.reset();
  controls.set.value = controls.region.value = "";
  controls.thumbnail.checked = onlyThumbnails[view];
}

/** Shows the samples of a plot's bar, or of a list's entry. */
function showOnly({ verdict = [...VERDICTS.keys()], ...values }) {
  resetFilters();
  for (const input of controls.verdict) input.checked = verdict.includes(+input.value);
  for (const [name, value] of Object.entries(values)) controls[name].value = value;
  applyFilters();
  $("samples").scrollIntoView();
}

/** Keeps the filters in the address, so that a reload or a link restores them. */
function remember() {
  const query = new URLSearchParams({ view, page: page + 1 });
  for (const [name, value] of new FormData(form)) {
    if (value !== "" && name !== "thumbnail") query.append(name, value);
  }
  query.set("thumbnail", controls.thumbnail.checked ? 1 : 0);
  history.replaceState(null, "", `#${query}`);
}

function recall() {
  const query = new URLSearchParams(location.hash.slice(1));
  if (!query.has("view")) return applyFilters();
  const known = ["table", ...(hasMap ? ["map"] : [])];
  view = known.find((each) => each === query.get("view")) ?? "gallery";
  for (const input of controls.verdict) {
    input.checked = query.getAll("verdict").includes(input.value);
  }
  const named = ["search", "sort", "given", "predicted", "low", "high", "duplicate", "decision"];
  for (const name of [...named, "set", "region"]) {
    if (query.has(name)) controls[name].value = query.get(name);
  }
  if (isColumnOrder(query.get("sort"))) addOrder(query.get("sort"));
  if (!controls.sort.value) controls.sort.value = "label_score+";
  controls.thumbnail.checked = onlyThumbnails[view] = query.get("thumbnail") === "1";
  applyFilters();
  turnTo(Number(query.get("page")) - 1 || 0);
}
