// The ticked samples, and their CSV.

const ticked = new Uint8Array(total);
let isSaved = true;
let lastTicked = null;

function tick(rows, value) {
  for (const row of rows) ticked[row] = value;
  for (const box of boxes()) {
    box.checked = ticked[box.dataset.row] === 1;
    box.closest("li, tr").classList.toggle("ticked", box.checked);
  }
  const number = ticked.reduce((sum, each) => sum + each, 0);
  isSaved = number === 0;
  $("export").disabled = $("untick").disabled = number === 0;
  $("export").textContent = number ? `Export ${whole(number)} as CSV` : "Export CSV";
  $("ticked").textContent = `${whole(number)} ticked`;
}

/** Ticks what a click changed, with Shift also all since the last click on this page. */
function tickFrom(box, isRange) {
  const row = +box.dataset.row;
  const rows = pageRows();
  const [from, to] = [rows.indexOf(lastTicked), rows.indexOf(row)].sort((a, b) => a - b);
  tick(isRange && from >= 0 ? rows.slice(from, to + 1) : [row], box.checked ? 1 : 0);
  lastTicked = row;
}

/** Returns a function from a row to its cell in a column. */
function cellOf(column) {
  const bool = (row) => (data.issues[row] === "1" ? "True" : "False");
  const known = {
    id: (row) => ids[row],
    given_label: (row) => given[row],
    given_name: (row) => classes[given[row]],
    verdict: (row) => VERDICTS[verdicts[row]].key,
    is_label_issue: bool,
    predicted_label: (row) => predicted[row],
    predicted_name: (row) => classes[predicted[row]],
    duplicate_set: (row) => duplicates[row],
  };
  if (Object.hasOwn(known, column)) return known[column];
  const score = Object.hasOwn(scores, column) && scores[column];
  if (score) return (row) => (score[row] < 0 ? "" : score[row] / SCALE);
  return (row) => data.others[column][row] ?? "";
}

/** What a spreadsheet would run as a formula; `_files.py` has the same. */
const FORMULA = /^'*([\t\r\n]|[ \u00a0]*[=+@\uff1d\uff0b\uff0d\uff20-])/;

function csv() {
  const quoted = (value) => {
    const isFormula = typeof value === "string" && FORMULA.test(value);
    const text = isFormula ? `'${value}` : String(value);
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const cells = data.columns.map(cellOf);
  const lines = [data.columns.map(quoted).join(",")];
  ticked.forEach((value, row) => {
    if (value) lines.push(cells.map((cell) => quoted(cell(row))).join(","));
  });
  return `${lines.join("\n")}\n`;
}

function save() {
  if ($("export").disabled) return;
  const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  make("a", { href: url, download: "ticked.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  isSaved = true;
}
