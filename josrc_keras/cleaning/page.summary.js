// The top of the page: numbers, plots and lists.

/** Says what an audit of photos estimates, and how it is applied. */
function showEstimates({ noise_rate, noise_rate_interval, check }) {
  const [low, high] = noise_rate_interval;
  $("sizes").textContent =
    `${count(findings.images, "photo")} in ${count(findings.classes, "class", "classes")}. ` +
    `Wrong by the estimate: ${percent(noise_rate)}, with 95% confidence ` +
    `${percent(low)} to ${percent(high)}. The ${whole(check.photos)} photos with the ` +
    `lowest label scores hold about ${percent(check.share, 0)} of these.`;
  $("apply").textContent =
    "josrc-audit --photos=PHOTOS --output=OUTPUT --apply=copy --decisions=decisions.csv";
}

function showSummary() {
  const rates = {
    in_distribution_rate: findings.in_distribution_rate ?? 0,
    out_of_distribution_rate: findings.out_of_distribution_rate ?? 0,
    undecided_rate: findings.undecided_rate ?? 0,
  };
  const wrong = findings.noise_rate ?? 0;
  rates.clean_rate = Math.max(0, 1 - wrong);
  const number = (rate) => whole(Math.round(rate * findings.images));
  $("title").textContent = data.title;
  $("headline").append(
    ...(number(wrong) === "0"
      ? ["No label looks wrong"]
      : ["About ", make("b", {}, number(wrong)), " labels look wrong"]),
  );
  $("sizes").textContent =
    `${percent(wrong)} of ${count(findings.images, "image")} in ` +
    `${count(findings.classes, "class", "classes")}, as training estimates it`;
  if (findings.estimates) showEstimates(findings.estimates);
  VERDICTS.forEach(({ name, rate, means }, verdict) => {
    $("shares").append(sized(make("i", { class: `v${verdict}` }), rates[rate]));
    $("verdicts").append(
      make(
        "li",
        {},
        make("h3", {}, mark(verdict), name),
        make(
          "p",
          { class: "figure" },
          make("b", {}, number(rates[rate])),
          make("span", {}, percent(rates[rate])),
        ),
        make("p", { class: "muted" }, means),
      ),
    );
  });
  if (rates.undecided_rate === 0) $("by-undecided").remove();
  const meanings = VERDICTS.flatMap(({ name, means }, verdict) => [
    make("dt", {}, mark(verdict), name),
    make("dd", {}, means),
  ]);
  $("meanings").prepend(...meanings);
  const parts = VERDICTS.map(({ name, rate }) => `${percent(rates[rate])} ${name}`);
  $("shares").setAttribute("aria-label", parts.join(", "));
  const source = Object.entries(findings.source ?? {}).flatMap(([name, value]) => [
    make("dt", {}, name),
    make("dd", {}, String(value)),
  ]);
  $("source").append(make("dl", {}, ...source));
}

function showHistogram() {
  const bins = VERDICTS.map(() => new Array(BINS).fill(0));
  for (let row = 0; row < total; row++) {
    const score = scores.label_score[row];
    if (score < 0) continue;
    bins[verdicts[row]][Math.min(BINS - 1, Math.floor((score * BINS) / SCALE))]++;
  }
  const from = (bin) => (bin / BINS).toFixed(2);
  VERDICTS.forEach(({ name }, verdict) => {
    const most = Math.max(...bins[verdict], 1);
    const sum = bins[verdict].reduce((a, b) => a + b, 0);
    const peak = bins[verdict].indexOf(most);
    const text = peak < 0 ? "" : `, most often ${from(peak)} to ${from(peak + 1)}`;
    const plot = make("div", {
      class: "bins",
      role: "img",
      "aria-label": `Label scores of ${count(sum, `${name} sample`)}${text}`,
    });
    bins[verdict].forEach((height, bin) => {
      const title = `${from(bin)} to ${from(bin + 1)}: ${whole(height)}`;
      const bar = sized(make("i", { class: `v${verdict}` }), height / most, "height");
      const column = make("span", { title }, bar);
      column.addEventListener("click", () =>
        showOnly({ verdict: [verdict], low: from(bin), high: from(bin + 1) }),
      );
      plot.append(column);
    });
    const caption = make("p", {}, mark(verdict), `${name} `, make("b", {}, whole(sum)));
    $("histogram").append(caption, plot);
  });
  const axis = ["0", "0.25", "0.5", "0.75", "1"].map((at) => make("span", {}, at));
  $("histogram").append(make("div", { class: "axis", "aria-hidden": true }, ...axis));
  const rows = bins[0].map((_, bin) => [
    `${from(bin)} to ${from(bin + 1)}`,
    ...bins.map((each) => whole(each[bin])),
  ]);
  const head = ["label score", ...VERDICTS.map(({ name }) => name)];
  $("histogram-table").append(makeTable(head, rows));
}

function showClasses() {
  const key = $("class-order").value;
  const sign = key === "label" ? 1 : -1;
  const rows = [...findings.by_class].sort(
    (a, b) => sign * ((a[key] ?? 0) - (b[key] ?? 0)) || a.label - b.label,
  );
  const most = Math.max(...rows.map((row) => row.noise_rate ?? 0), 1e-9);
  const bars = rows.slice(0, CLASSES_SHOWN).map((row) => {
    const parts = UNCLEAN.map((verdict) =>
      sized(make("i", { class: `v${verdict}` }), row[VERDICTS[verdict].rate] / most),
    );
    const rates = UNCLEAN.map((verdict) => {
      const { name, rate } = VERDICTS[verdict];
      return `${percent(row[rate])} ${name}`;
    });
    const text =
      `${row.name}: ${percent(row.noise_rate)} of ${count(row.images, "image")}; ` +
      rates.join(", ");
    const button = makeButton(
      { title: text, "aria-label": text },
      () => showOnly({ given: row.label, verdict: UNCLEAN }),
      make("span", { class: "name" }, row.name),
      make("span", { class: "bar" }, ...parts),
      make("span", { class: "number" }, percent(row.noise_rate)),
    );
    return make("li", {}, button);
  });
  $("classes").replaceChildren(...bars);
  const shown = firstOf(bars.length, rows.length);
  $("classes-note").textContent =
    `${shown}Share of the labels that look wrong. Click a class to see them.`;
}

function showPairs() {
  const pairs = findings.confused_pairs; // The first of a sorted list: see report.py.
  const most = Math.max(...pairs.map((pair) => pair.images), 1);
  const items = pairs.map((pair) => {
    const choice = {
      given: pair.given_label,
      predicted: pair.predicted_label,
      verdict: [1],
    };
    const button = makeButton(
      { title: `${pair.given_name} → ${pair.predicted_name}: ${pair.images}` },
      () => showOnly(choice),
      make(
        "span",
        { class: "name pair" },
        make("bdi", {}, pair.given_name),
        make("span", { class: "muted" }, " → "),
        make("bdi", {}, pair.predicted_name),
      ),
      make("span", { class: "bar" }, sized(make("i", { class: "v1" }), pair.images / most)),
      make("span", { class: "number" }, whole(pair.images)),
    );
    return make("li", {}, button);
  });
  $("pairs").append(...items);
  const isCut = pairs.length < totals.confused_pairs;
  const shown = isCut ? `The ${pairs.length} most frequent. ` : "";
  $("pairs-note").textContent = pairs.length
    ? `${shown}Given label → what the image looks like. Click a pair to see its images.`
    : "No class is taken for another.";
}

function showLists() {
  const fill = (id, heading, item) => {
    const list = $(id).querySelector("ul");
    const left = totals[id] - findings[id].length;
    $(id).hidden = totals[id] === 0;
    $(id).querySelector("summary").textContent = heading;
    list.append(...findings[id].map((each) => make("li", {}, ...item(each))));
    if (left) list.append(make("li", { class: "muted" }, `and ${whole(left)} more`));
  };
  const sets = `${count(totals.duplicates, "image")} with more than one label`;
  fill("duplicates", sets, (set) => [
    makeButton(
      { class: "set" },
      () => showOnly({ set: set.duplicate_set }),
      ...set.ids.map((id, place) =>
        make(
          "span",
          {},
          shortened(String(id)),
          make("b", {}, String(set.given_names[place])),
        ),
      ),
    ),
  ]);
  fill("skipped", `${count(totals.skipped, "file")} skipped`, (file) => [
    make("code", {}, String(file.id)),
    ` ${file.reason}`,
  ]);
}
