// Decisions of a report that `josrc-audit --serve` shows: they are kept beside the audit.

const isServed = location.protocol === "http:";
const SEND_AFTER = 150; // Milliseconds, so that quick decisions are sent together.
const ASK_AFTER = 5000; // What other browsers decided is asked for.
let sending = null;
let isSent = true;

/** Returns all rows that were ever decided, with those that are open again. */
function allStates() {
  const rows = decidedRows();
  times.forEach((time, row) => {
    if (!time || decided[row] !== OPEN) return;
    const [given_name, at] = [classes[given[row]], new Date(time).toISOString()];
    rows.push({ id: ids[row], given_name, decision: "", new_name: "", time: at });
  });
  return rows;
}

/** Takes over what the server keeps, where it is later than what is here. */
function takeServed({ decisions, opened }) {
  const places = new Map(ids.map((id, row) => [id, row]));
  const changed = [];
  for (const each of [...decisions, ...opened]) {
    const row = places.get(each.id);
    const code = row === undefined ? null : each.decision ? readCode(row, each) : OPEN;
    const time = Date.parse(each.time);
    if (code === null || !(time > times[row])) continue;
    decided[row] = code;
    times[row] = time;
    changed.push(row);
  }
  if (changed.length) {
    store();
    refresh(changed);
  }
}

async function exchange(options) {
  const answer = await fetch("decisions", options);
  if (!answer.ok) throw new Error(answer.statusText);
  takeServed(await answer.json());
}

/** Sends the decisions soon; tries again where that fails. */
function send() {
  if (!isServed) return;
  isSent = false;
  clearTimeout(sending);
  sending = setTimeout(async () => {
    try {
      await exchange({ method: "PUT", body: JSON.stringify(allStates()) });
      isSent = true;
    } catch {
      announce("The decisions could not be written. Is josrc-audit still running?");
      sending = setTimeout(send, ASK_AFTER);
    }
  }, SEND_AFTER);
}

async function startServed() {
  if (!isServed) return;
  data.folders = ["photos/"];
  $("apply").textContent = $("apply").textContent.replace("=dec", "=OUTPUT/dec");
  await exchange({}).catch(() => {});
  if (times.some((time) => time)) send();
  setInterval(() => isSent && exchange({}).catch(() => {}), ASK_AFTER);
}
