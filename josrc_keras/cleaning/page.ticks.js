// The selected samples, which are decided together or exported with all their columns.

const ticked = new Uint8Array(total);
let lastTicked = null;

const tickBoxes = () => Array.from($("results").querySelectorAll("input[data-tick]"));
const tickedRows = () => Array.from(ticked.keys()).filter((row) => ticked[row]);

function tick(rows, value) {
  for (const row of rows) ticked[row] = value;
  for (const box of tickBoxes()) {
    box.checked = ticked[box.dataset.tick] === 1;
    box.closest("li, tr").classList.toggle("ticked", box.checked);
  }
  const number = ticked.reduce((sum, each) => sum + each, 0);
  $("export").disabled = $("untick").disabled = number === 0;
  $("export").textContent = number ? `Export ${whole(number)} as rows` : "Export rows";
  $("ticked").textContent = `${whole(number)} selected`;
  nameDecideButtons();
}

/** Selects what a click changed, with Shift also all since the last one on this page. */
function tickFrom(row, value, isRange) {
  const rows = pageRows();
  const [from, to] = [rows.indexOf(lastTicked), rows.indexOf(row)].sort((a, b) => a - b);
  tick(isRange && from >= 0 ? rows.slice(from, to + 1) : [row], value ? 1 : 0);
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

function csv() {
  const cells = data.columns.map(cellOf);
  const lines = [data.columns.map(quoted).join(",")];
  ticked.forEach((value, row) => {
    if (value) lines.push(cells.map((cell) => quoted(cell(row))).join(","));
  });
  return `${lines.join("\n")}\n`;
}

function save() {
  if (!$("export").disabled) download(csv(), "ticked.csv", "text/csv");
}
