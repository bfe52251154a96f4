// The report's script: the data, and functions that make elements. The other parts
// follow in report.py's order and share its names. The data reach the page only as text
// or as attribute values, so that no name can become markup.
"use strict";
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
$("data").remove(); // It holds megabytes of text that are no longer needed.

const SCALE = 10000; // Scores are integers, in ten thousandths. -1 is a missing score.
const KINDS = [
  {
    key: "clean",
    name: "clean",
    rate: "clean_rate",
    share: "clean_share",
    means: "The label fits the image, as far as the audit can tell.",
  },
  {
    key: "in_distribution_noise",
    name: "in-distribution noise",
    rate: "in_distribution_rate",
    share: "in_distribution_share",
    means: "The image looks like a different class. Relabel it if you agree.",
  },
  {
    key: "out_of_distribution",
    name: "out-of-distribution",
    rate: "out_of_distribution_rate",
    share: "out_of_distribution_share",
    means: "The image looks like none of the classes. Remove it if you agree.",
  },
  {
    key: "undecided",
    name: "can't tell",
    rate: "undecided_rate",
    means:
      "The label looks wrong, but the evidence is too weak to say whether another class " +
      "is right. Look at it. It stays as it is until you decide.",
  },
];
const BINS = 20;
const CLASSES_SHOWN = 30;
const PAGE_SIZES = { gallery: 60, table: 100, map: Infinity };

const { ids, classes, given, predicted, duplicates, thumbnails } = data;
const { findings, totals } = data;
const total = ids.length;
const verdicts = Uint8Array.from(data.verdicts);
// Most audits decide everything, and their page does not mention the last verdict.
const VERDICTS = KINDS.filter(
  ({ key }, verdict) => key !== "undecided" || verdicts.includes(verdict),
);
const UNCLEAN = [...VERDICTS.keys()].slice(1);
const SHARED = VERDICTS.filter(({ share }) => share); // Those that training gives.
const scores = {};
for (const [name, column] of Object.entries(data.scores)) {
  scores[name] = Int16Array.from(column ?? ids, (each) => (column ? (each ?? -1) : -1));
}
const hasHistory = SHARED.some(({ share }) => data.scores[share]);
// Whether the column `is_label_issue` says more than the verdict.
const issuesDiffer = verdicts.some((verdict, row) => (verdict > 0) !== (data.issues[row] === "1"));
const hasDuplicates = duplicates.some((set) => set >= 0);
const conflicts = conflictingSets();

/** Makes an element. Children are elements or strings, which become text. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Makes a button that reacts to clicks. */
function makeButton(attributes, onClick, ...children) {
  const button = make("button", { type: "button", ...attributes }, ...children);
  button.addEventListener("click", onClick);
  return button;
}

function sized(node, share, side = "width") {
  node.style[side] = `${100 * Math.max(0, Math.min(1, share || 0))}%`;
  return node;
}

const whole = (number) => (number ?? NaN).toLocaleString("en");
const count = (number, noun, plural = `${noun}s`) =>
  `${whole(number)} ${number === 1 ? noun : plural}`;
const percent = (share, digits = 1) =>
  share == null ? "–" : `${(100 * share).toFixed(digits)}%`;
const firstOf = (shown, all) =>
  shown < all ? `The first ${whole(shown)} of ${whole(all)}. ` : "";
const decimal = (score) => (score < 0 ? "–" : (score / SCALE).toFixed(2));
const mark = (verdict) => make("i", { class: `mark v${verdict}`, "aria-hidden": true });

/** Makes a name whose end stays legible when there is no room for all of it. */
function shortened(text, tail = 10) {
  const letters = Array.from(text);
  const start = letters.slice(0, -tail).join("");
  return make(
    "span",
    { class: "shortened", title: text },
    make("span", {}, start),
    make("span", {}, letters.slice(-tail).join("")),
  );
}

function makeTable(head, rows) {
  const cells = (tag, row) => row.map((cell) => make(tag, {}, cell));
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...cells("th", head))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells("td", row)))),
  );
}
