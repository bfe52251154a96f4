// One sample, large, with what helps to decide on it: look-alikes and typical samples.

const BESIDE = 6; // Samples in each strip.
let current = -1; // The row that is shown; -1 while the preview is closed.

/** Returns the addresses of a sample's image, the best first. */
function sourcesOf(row) {
  const path = ids[row].split("/").map(encodeURIComponent).join("/");
  const files = data.folders.length
    ? ids[row].startsWith("/") && !isServed
      ? [`file://${path}`]
      : data.folders.map((folder) => folder + path)
    : [];
  return [...files, thumbnailOf(row)].filter(Boolean);
}

const thumbnailOf = (row) => thumbnails[row] ?? data.typical_images[row];

/** Makes an image that falls back to the next address where one can't be loaded. */
function makeLarge(row) {
  const [first, ...others] = sourcesOf(row);
  if (!first) return make("p", { class: "no-picture" }, "no image of this sample");
  const image = make("img", { alt: `The sample ${ids[row]}` });
  const setSource = (source) => {
    image.src = source;
  };
  image.addEventListener("error", () => {
    if (others.length) setSource(others.shift());
  });
  image.addEventListener("load", () => {
    $("preview-size").textContent = image.src.startsWith("data:")
      ? `thumbnail, ${image.naturalWidth} × ${image.naturalHeight} pixels`
      : `${image.naturalWidth} × ${image.naturalHeight} pixels`;
    image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) < 24);
  });
  setSource(first);
  return image;
}

/** Makes a strip of samples with their labels, each a button that shows it. */
function makeStrip(title, rows, nothing) {
  const items = rows.slice(0, BESIDE).map((row) => {
    const code = decided[row];
    const label = code >= FIRST_CLASS ? nameOf(code) : classes[given[row]];
    const source = thumbnailOf(row) ?? sourcesOf(row)[0];
    const picture = source
      ? make("img", { alt: "", src: source, loading: "lazy" })
      : make("span", { class: "no-picture" }, "no image");
    const name = `${ids[row]}, ${label}`;
    const button = makeButton(
      { title: name, "aria-label": `Show ${name}` },
      () => showPreview(row),
      picture,
      make("span", { dir: "auto" }, label),
    );
    return make("li", {}, button);
  });
  const more = rows.length > BESIDE ? ` (${BESIDE} of ${whole(rows.length)})` : "";
  return make(
    "section",
    { class: "strip" },
    make("h3", { dir: "auto" }, title + more),
    items.length ? make("ul", {}, ...items) : make("p", { class: "muted" }, nothing),
  );
}

let setRows = null;
function duplicatesOf(row) {
  const set = duplicates[row];
  if (set < 0) return [];
  if (!setRows) {
    setRows = new Map();
    duplicates.forEach((each, other) => {
      if (each < 0) return;
      if (!setRows.has(each)) setRows.set(each, []);
      setRows.get(each).push(other);
    });
  }
  return setRows.get(set).filter((other) => other !== row);
}

function makeStrips(row) {
  const typical = (label) => (data.typical[label] ?? []).filter((each) => each !== row);
  const none = "None has an image here.";
  const strips = [];
  if (hasDuplicates && duplicates[row] >= 0) {
    strips.push(makeStrip("The same image", duplicatesOf(row), ""));
  }
  if (data.neighbours[row]) {
    strips.push(makeStrip("Most similar, with their given labels", data.neighbours[row], ""));
  }
  strips.push(makeStrip(`Typical of ${classes[given[row]]} (given)`, typical(given[row]), none));
  const other = predicted[row] === given[row] ? likelyOf(row)[0] : predicted[row];
  if (other !== undefined) {
    strips.push(makeStrip(`Typical of ${classes[other]}`, typical(other), none));
  }
  return strips;
}

/** Makes the buttons of the decisions on one sample. */
function makeChoices(row) {
  const button = (code, key, text) =>
    makeButton(
      { "aria-pressed": String(decided[row] === code), dir: "auto" },
      () => act([row], code),
      make("kbd", {}, key),
      text,
    );
  const classesOfKeys = likelyOf(row).map((label, place) =>
    button(FIRST_CLASS + label, String(place + 1), classes[label]),
  );
  return [
    ...classesOfKeys,
    makeButton({}, () => openChooser([row]), make("kbd", {}, "c"), "another class"),
    button(KEEP, "k", `keep ${classes[given[row]]}`),
    button(NONE, "n", "none of these"),
    button(UNSURE, "u", "unsure"),
    button(DELETE, "d", "delete"),
  ];
}

function makeConflict(row) {
  const other = theirs.get(row);
  if (!other) return [];
  const text = `An imported file says ${nameOf(other[0])}, this page ${nameOf(decided[row])}.`;
  return [
    make("p", { class: "differs", dir: "auto" }, text),
    makeButton({}, () => act([row], other[0]), `Take ${nameOf(other[0])}`),
    makeButton({}, () => act([row], decided[row]), `Stay with ${nameOf(decided[row])}`),
  ];
}

/** Shows a sample large; the dialog stays open for those that follow. */
function showPreview(row) {
  current = row;
  const place = matches.indexOf(row);
  $("preview-title").replaceChildren(shortened(ids[row], 24));
  $("preview-place").textContent =
    place < 0 ? "" : `${whole(place + 1)} of ${whole(matches.length)}`;
  $("preview-size").textContent = "";
  $("preview-picture").replaceChildren(makeLarge(row));
  $("preview-strips").replaceChildren(...makeStrips(row));
  preload(nextOpen(row));
  fillPreview();
  const wasOpen = $("preview").open;
  if (!wasOpen) $("preview").showModal();
  if (!wasOpen || !$("preview").contains(document.activeElement)) $("preview").focus();
}

/** Shows what changes with a decision. */
function fillPreview() {
  const row = current;
  const line = (name, ...content) => [make("dt", {}, name), make("dd", { dir: "auto" }, ...content)];
  $("preview-labels").replaceChildren(
    ...line("given", classes[given[row]]),
    ...line("suggested", makeSuggestion(row), ` ${probability(row)}`),
    ...line("verdict", makeVerdict(row), `, label score ${decimal(scores.label_score[row])}`),
    ...line("decided", decided[row] ? makeDecision(row) : make("span", { class: "muted" }, "not yet")),
  );
  $("preview-choices").replaceChildren(...makeChoices(row));
  $("preview-conflict").replaceChildren(...makeConflict(row));
}

function refreshPreview(changed) {
  if (current < 0 || !changed.has(current)) return;
  const hadFocus = $("preview-choices").contains(document.activeElement);
  fillPreview();
  if (hadFocus) $("preview").focus();
}

/** Loads the image that comes next, so that it is there when it is asked for. */
function preload(row) {
  if (row >= 0 && data.folders.length) new Image().src = sourcesOf(row)[0];
}

function closePreview() {
  const row = current;
  current = -1;
  if (row >= 0) goTo(row);
}

/** Shows the match before or after the one that is shown. */
function turnPreview(step) {
  const next = matches[matches.indexOf(current) + step];
  if (next !== undefined) showPreview(next);
}

function listenToPreview() {
  $("preview").addEventListener("close", closePreview);
  $("close-preview").addEventListener("click", () => $("preview").close());
  $("preview-back").addEventListener("click", () => turnPreview(-1));
  $("preview-on").addEventListener("click", () => turnPreview(1));
  $("preview-undo").addEventListener("click", () => takeBack(undo));
}
