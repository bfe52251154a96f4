// How far the review is, and how many wrong labels are left. The labels that were looked
// at tell how often a label with such a score is wrong. Bins of scores, from the lowest,
// each have a beta prior with the mean of 1 - score, and the weight of two samples. The
// shares that are drawn from the posteriors must not rise with the score (isotonic
// regression), and give binomial numbers of wrong ones among the samples that are open.

const EDGES = [0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.55, 0.75, 1];
const PRIOR_WEIGHT = 2;
const DRAWS = 600;

const isWrong = (code) => code >= FIRST_CLASS || code === NONE;

/** A generator of numbers in [0, 1) that gives the same ones each time. */
function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function drawNormal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Draws from a gamma distribution (Marsaglia and Tsang 2000). */
function drawGamma(shape, random) {
  if (shape < 1) return drawGamma(shape + 1, random) * Math.max(random(), 1e-300) ** (1 / shape);
  const d = shape - 1 / 3;
  for (;;) {
    const x = drawNormal(random);
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

function drawBeta(a, b, random) {
  const x = drawGamma(a, random);
  return x / (x + drawGamma(b, random));
}

/** Draws a binomial number; of many samples by its normal approximation. */
function drawBinomial(number, share, random) {
  if (number > 50) {
    const sd = Math.sqrt(number * share * (1 - share));
    return Math.max(0, Math.min(number, Math.round(number * share + sd * drawNormal(random))));
  }
  let sum = 0;
  for (let each = 0; each < number; each++) sum += random() < share;
  return sum;
}

/** The closest shares that do not rise: neighbours that do are pooled. */
function falling(shares, weights) {
  const blocks = [];
  shares.forEach((share, place) => {
    let block = { share, weight: weights[place], size: 1 };
    while (blocks.length && blocks.at(-1).share < block.share) {
      const before = blocks.pop();
      const weight = before.weight + block.weight;
      const pooled = (before.share * before.weight + block.share * block.weight) / weight;
      block = { share: pooled, weight, size: before.size + block.size };
    }
    blocks.push(block);
  });
  return blocks.flatMap(({ share, size }) => new Array(size).fill(share));
}

/** Counts per bin of scores: looked at, of these wrong, open, and the mean of 1 - score. */
function countBins() {
  const bins = EDGES.slice(1).map(() => ({ seen: 0, wrong: 0, open: 0, doubt: 0, size: 0 }));
  const known = ordered("label_score+");
  let bin = 0;
  known.forEach((row, place) => {
    while (place >= Math.round(EDGES[bin + 1] * total)) bin++;
    const score = scores.label_score[row];
    const code = decided[row];
    const own = bins[bin];
    own.size++;
    own.doubt += score < 0 ? 0.5 : 1 - score / SCALE;
    if (isWrong(code)) own.wrong++;
    if (isWrong(code) || code === KEEP) own.seen++;
    else if (code !== DELETE) own.open++; // Also those of which one is unsure.
  });
  return bins.filter(({ size }) => size > 0);
}

/** Estimates the wrong labels among the open samples: [estimate, low, high], 95%. */
function estimateLeft() {
  const bins = countBins();
  const random = makeRandom(26);
  const weights = bins.map(({ seen }) => seen + PRIOR_WEIGHT);
  const sums = [];
  for (let draw = 0; draw < DRAWS; draw++) {
    const shares = bins.map(({ seen, wrong, doubt, size }) => {
      const prior = Math.min(0.98, Math.max(0.02, doubt / size));
      const a = PRIOR_WEIGHT * prior + wrong;
      return drawBeta(a, PRIOR_WEIGHT * (1 - prior) + seen - wrong, random);
    });
    const even = falling(shares, weights);
    sums.push(bins.reduce((sum, { open }, at) => sum + drawBinomial(open, even[at], random), 0));
  }
  sums.sort((a, b) => a - b);
  const at = (share) => sums[Math.min(DRAWS - 1, Math.floor(share * DRAWS))];
  return [at(0.5), at(0.025), at(0.975)];
}

let waitingForEstimate;
function showProgress() {
  const counts = { done: 0, flagged: 0, seen: 0, wrong: 0 };
  const kinds = [0, 0, 0, 0, 0, 0];
  decided.forEach((code, row) => {
    const isFlagged = verdicts[row] > 0;
    if (isFlagged) counts.flagged++;
    if (code === OPEN) return;
    counts.done++;
    kinds[Math.min(code, FIRST_CLASS)]++;
    if (isFlagged && (isWrong(code) || code === KEEP)) counts.seen++;
    if (isFlagged && isWrong(code)) counts.wrong++;
  });
  const parts = [...SAID.slice(1), "another class"]
    .map((name, place) => `${whole(kinds[place + 1])} ${name}`)
    .filter((text) => !text.startsWith("0 "));
  const each = parts.length ? `: ${parts.join(", ")}` : "";
  $("done").textContent = `${whole(counts.done)} decided${each}. ${whole(counts.flagged)} look wrong.`;
  $("done-bar").max = Math.max(1, counts.flagged);
  $("done-bar").value = counts.done;
  $("precision").textContent = counts.seen
    ? `Of ${whole(counts.seen)} flags looked at, ${whole(counts.wrong)} were right (${percent(counts.wrong / counts.seen, 0)}).`
    : "";
  $("export-csv").disabled = $("export-json").disabled = counts.done === 0;
  $("undo").disabled = past.length === 0;
  $("redo").disabled = future.length === 0;
  $("conflicts").hidden = theirs.size === 0;
  $("conflict-count").textContent = `${count(theirs.size, "conflict")} with an imported file.`;
  $("not-kept").hidden = isKept;
  clearTimeout(waitingForEstimate);
  waitingForEstimate = setTimeout(showEstimate, 60);
}

function showEstimate() {
  if (!total) return;
  const [middle, low, high] = estimateLeft();
  $("left").textContent =
    `About ${whole(middle)} wrong labels are left, with 95% probability ` +
    `${whole(low)} to ${whole(high)}.`;
}
