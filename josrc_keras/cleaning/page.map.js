// The map: each sample at the place of its features, where a click or a key shows it and
// a drag lists those of a region. Everything on it can be reached in the list, too.

const hasMap = Boolean(data.map);
const mapX = Int16Array.from(data.map?.x ?? []); // From 0 to MAP_SIDE.
const mapY = Int16Array.from(data.map?.y ?? []);
const MAP_SIDE = 1000;
const MAP_EDGE = 14; // Pixels around the outermost samples.
const NEAR = 70; // Half the side of the region around the marked sample.
const LEGEND = 30; // Classes that the legend lists.
const DRAG = 6; // Pixels that a pointer moves in a drag.
let mapMark = -1; // The row that the keys have reached.
let colourBy = "given";

/** Returns the colour of a class: hues far apart, each as light as the others. */
function mapColour(label) {
  const hue = classes.length > 12 ? label * 137.508 : (label * 360) / classes.length + 20;
  return isDark() ? `oklch(0.76 0.13 ${hue % 360})` : `oklch(0.55 0.15 ${hue % 360})`;
}

/** Returns colours as the numbers that an image's pixels have. */
function pixelsOf(colours) {
  const canvas = make("canvas", { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return colours.map((colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
  });
}

const mapCanvas = () => $("results").querySelector("canvas");

/** Returns a function from a row to the pixel of its middle. */
function placesOn(canvas) {
  const edge = MAP_EDGE * (canvas.width / canvas.clientWidth || 1);
  const [width, height] = [canvas.width - 2 * edge, canvas.height - 2 * edge];
  return (row) => [
    Math.round(edge + (mapX[row] / MAP_SIDE) * width),
    Math.round(edge + (mapY[row] / MAP_SIDE) * height),
  ];
}

/** Draws all samples, those that match above the others and the flagged ones on top. */
function drawMap() {
  const canvas = mapCanvas();
  if (!canvas?.clientWidth) return;
  canvas.width = canvas.clientWidth * devicePixelRatio;
  canvas.height = canvas.clientHeight * devicePixelRatio;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const place = placesOn(canvas);
  const square = (row, half, colour) => {
    const [x, y] = place(row);
    for (let line = y - half; line <= y + half; line++) {
      const start = line * canvas.width + x - half;
      pixels.fill(colour, start, start + 2 * half + 1);
    }
  };
  const style = getComputedStyle(document.documentElement);
  const named = ["--ink", "--line", "--accent"].map((name) => style.getPropertyValue(name));
  const [ink, faint, accent] = pixelsOf(named.map((each) => resolved(each)));
  const colours = pixelsOf(classes.map((_, label) => mapColour(label)));
  const labels = colourBy === "given" ? given : predicted;
  const half = Math.max(1, Math.round((total > 20000 ? 1 : 2.5) * devicePixelRatio));
  if (matches.length < total) for (let row = 0; row < total; row++) square(row, 1, faint);
  for (const row of matches) if (!verdicts[row]) square(row, half, colours[labels[row]]);
  for (const row of matches) {
    if (!verdicts[row]) continue;
    square(row, half + Math.ceil(1.5 * devicePixelRatio), ink);
    square(row, half, colours[labels[row]]);
  }
  if (mapMark >= 0) {
    square(mapMark, half + 6, accent);
    square(mapMark, half + 3, ink);
    square(mapMark, half, colours[labels[mapMark]]);
  }
  context.putImageData(image, 0, 0);
}

/** Returns a colour of the style sheet as it is now, light or dark. */
function resolved(value) {
  const [, light, dark] = value.match(/light-dark\((.*), (.*)\)/) ?? [null, value, value];
  return isDark() ? dark : light;
}

/** Returns the row among those that match that is nearest to a place of the map. */
function nearestTo(x, y, cost = (dx, dy) => dx * dx + dy * dy) {
  let [nearest, least] = [-1, Infinity];
  for (const row of matches) {
    const far = cost(mapX[row] - x, mapY[row] - y);
    if (far < least) [nearest, least] = [row, far];
  }
  return nearest;
}

/** Returns where on the map a pointer is, from 0 to MAP_SIDE. */
function pointedAt(event) {
  const box = mapCanvas().getBoundingClientRect();
  const scaled = (at, side) => ((at - MAP_EDGE) / (side - 2 * MAP_EDGE)) * MAP_SIDE;
  return [
    scaled(event.clientX - box.left, box.width),
    scaled(event.clientY - box.top, box.height),
  ];
}

/** Marks a sample, says which it is, and lets the keys of decisions be about it. */
function markOnMap(row) {
  mapMark = row;
  const canvas = mapCanvas();
  if (!canvas || row < 0) return;
  canvas.dataset.row = row;
  drawMap();
  tellOnMap(row);
  $("map-near").disabled = false;
}

function tellOnMap(row) {
  const picture = row < 0 ? null : makePicture(row);
  const text = row < 0 ? "" : handleName(row);
  $("map-told").replaceChildren(...(picture ? [picture, make("span", { dir: "auto" }, text)] : []));
}

/** Lists the samples of a region: lowest and highest x and y. */
function listRegion(left, top, right, bottom) {
  controls.region.value = [left, top, right, bottom].map(Math.round).join(",");
  show("gallery");
  focusOn(handles()[0]);
}

/** Returns a function that says whether a row lies in the region of the form. */
function inRegion() {
  const [left, top, right, bottom] = controls.region.value.split(",").map(Number);
  return (row) =>
    mapX[row] >= left && mapX[row] <= right && mapY[row] >= top && mapY[row] <= bottom;
}

function onMapKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = steps[event.key];
  const opens = ["Enter", " "].includes(event.key) && mapMark >= 0;
  if (!step && !opens) return;
  event.preventDefault();
  if (opens) return showPreview(mapMark);
  const isFirst = mapMark < 0;
  const [x, y] = isFirst ? [MAP_SIDE / 2, MAP_SIDE / 2] : [mapX[mapMark], mapY[mapMark]];
  const cost = (dx, dy) => {
    const along = dx * step[0] + dy * step[1];
    const aside = Math.abs(dx * step[1]) + Math.abs(dy * step[0]);
    return along > 0 ? along + 2 * aside : Infinity;
  };
  const next = nearestTo(x, y, isFirst ? undefined : cost);
  if (next >= 0) markOnMap(next);
}

/** Lets a pointer point, open a sample and drag a region; a finger scrolls instead. */
function listenToMap(canvas, band) {
  let start = null;
  const box = (event) => {
    const [left, right] = [start.clientX, event.clientX].sort((a, b) => a - b);
    const [top, bottom] = [start.clientY, event.clientY].sort((a, b) => a - b);
    return { left, top, right, bottom };
  };
  canvas.addEventListener("pointerdown", (event) => {
    start = event.button === 0 ? event : null;
    if (start && event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start || event.pointerType === "touch") return tellOnMap(nearestTo(...pointedAt(event)));
    const { left, top, right, bottom } = box(event);
    const around = canvas.getBoundingClientRect();
    band.hidden = false;
    band.style.left = `${left - around.left}px`;
    band.style.top = `${top - around.top}px`;
    band.style.width = `${right - left}px`;
    band.style.height = `${bottom - top}px`;
  });
  const end = (event) => {
    band.hidden = true;
    const dragged = start && box(event);
    start = null;
    if (!dragged) return;
    const { left, top, right, bottom } = dragged;
    if (right - left > DRAG && bottom - top > DRAG) {
      const corners = [
        pointedAt({ clientX: left, clientY: top }),
        pointedAt({ clientX: right, clientY: bottom }),
      ];
      return listRegion(...corners.flat());
    }
    markOnMap(nearestTo(...pointedAt(event)));
    if (mapMark >= 0) showPreview(mapMark);
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", () => {
    start = null;
    band.hidden = true;
  });
  canvas.addEventListener("keydown", onMapKey);
}

function makeMap() {
  const canvas = make("canvas", {
    tabindex: 0,
    role: "application",
    "aria-label":
      "Map. The arrow keys go to the nearest sample in their direction, Enter shows it " +
      "large, and the keys of decisions decide on it. The gallery lists the same samples.",
    "aria-describedby": "map-told",
  });
  const band = make("div", { class: "band", hidden: true });
  listenToMap(canvas, band);
  const select = make(
    "select",
    {},
    make("option", { value: "given" }, "given label"),
    make("option", { value: "predicted" }, "suggested label"),
  );
  select.value = colourBy;
  select.addEventListener("input", () => {
    colourBy = select.value;
    render();
  });
  const near = makeButton(
    { id: "map-near", disabled: mapMark < 0 },
    () => listRegion(mapX[mapMark] - NEAR, mapY[mapMark] - NEAR, mapX[mapMark] + NEAR, mapY[mapMark] + NEAR),
    "List what is around it",
  );
  requestAnimationFrame(() => (mapMark >= 0 ? markOnMap(mapMark) : drawMap()));
  return make(
    "figure",
    { class: "map" },
    make("div", { class: "row spread" }, make("label", { class: "inline" }, "colour: ", select), near),
    make("div", { class: "canvas" }, canvas, band),
    make("figcaption", { id: "map-told", class: "row", "aria-live": "polite" }),
    make(
      "p",
      { class: "muted" },
      "Samples that look alike to the network lie near each other: its features, along the " +
        "two directions in which the suggested classes differ most. A frame marks a label " +
        "that looks wrong. Click a sample to see it, drag to list a region.",
    ),
    makeLegend(),
  );
}

function makeLegend() {
  if (classes.length > LEGEND) return null;
  const items = classes.map((name, label) => {
    const swatch = make("i", { class: "swatch", "aria-hidden": true });
    swatch.style.background = mapColour(label);
    const choose = () => {
      controls[colourBy].value = controls[colourBy].value === String(label) ? "" : label;
      applyFilters();
    };
    const pressed = controls[colourBy].value === String(label);
    const button = makeButton({ "aria-pressed": pressed }, choose, swatch, name);
    button.dir = "auto";
    return make("li", {}, button);
  });
  return make("ul", { class: "legend", "aria-label": "Classes" }, ...items);
}
