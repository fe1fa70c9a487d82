// Parallel coordinates of choices and objectives, with filters on every axis that hold for the whole page.
//
// Lines are on a canvas, since there may be thousands; axes are SVG, so that pointer and keyboard reach them.

const STEPS = 10; // of a numeric axis, for the keyboard
const EDGE = { top: 54, bottom: 24, side: 56, gap: 92 };
const facets = new Set(["network", "mixer", "genes"]); // which groups of choices have axes
let parallel = []; // the axes as drawn
let drag = null;

/** The group of a choice: `stage2.mixer` belongs to `mixer`, `resolution` and `stem.width` to the network. */
const facetOf = (name) => (/^stage\d+\./.test(name) ? name.split(".")[1] : name.startsWith("x_") || !/resolution|stem|head/.test(name) ? "genes" : "network");

const facetNames = () => [...new Set(state.data.choices.map((choice) => facetOf(choice.name)))];

function drawFacets() {
  const box = byId("facets");
  redraw(box, box.querySelector("legend"), facetNames().map((name) => el("label", {},
    el("input", { type: "checkbox", checked: facets.has(name), "data-focus": name, on: { change: (event) => toggleFacet(name, event.target.checked) } }), name)));
}

function toggleFacet(name, on) {
  if (on) facets.add(name);
  else {
    facets.delete(name);
    for (const choice of state.data.choices) if (facetOf(choice.name) === name) state.filters.delete(choice.name);
  }
  filterChanged();
}

/** An axis: where each member stands on it, from 0 (bottom) to 1, and what its steps are called. */
function choiceAxis(choice) {
  const names = choice.options.map(String);
  const absent = choice.indices.includes(null);
  const steps = absent ? ["–", ...names] : names;
  const place = (index) => ((index === null ? 0 : index + (absent ? 1 : 0)) + 0.5) / steps.length;
  return { name: choice.name, steps, numeric: false, at: choice.indices.map(place) };
}

function scoreAxis(axis) {
  const raw = members().map((member) => scoreOf(member, axis));
  const position = (value) => (isLog(axis) ? Math.log10(Math.max(value, 1e-9)) : value);
  const values = raw.filter((value) => value !== null).map(position);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const wide = high - low || 1;
  const words = (place) => format(isLog(axis) ? 10 ** (low + place * wide) : low + place * wide, axis.unit);
  return {
    name: axis.name, shown: label(axis), numeric: true, words, low, wide,
    steps: Array.from({ length: STEPS }, (_, i) => `${words(i / STEPS)} to ${words((i + 1) / STEPS)}`),
    at: raw.map((value) => (value === null ? null : (position(value) - low) / wide)),
  };
}

/** Filters are kept as names of steps, or as a range in the score's own scale, so that live data do not move them. */
function rangeOf(axis) {
  const kept = state.filters.get(axis.name);
  if (!kept) return null;
  if (axis.numeric) return [(kept.low - axis.low) / axis.wide, (kept.high - axis.low) / axis.wide];
  const places = kept.steps.map((step) => axis.steps.indexOf(step)).filter((place) => place >= 0);
  return places.length ? [Math.min(...places) / axis.steps.length, (Math.max(...places) + 1) / axis.steps.length] : null;
}

function keep(axis, range) {
  if (range === null) state.filters.delete(axis.name);
  else if (axis.numeric) state.filters.set(axis.name, { low: axis.low + range[0] * axis.wide, high: axis.low + range[1] * axis.wide });
  else {
    const [from, to] = [Math.floor(range[0] * axis.steps.length + 1e-6), Math.ceil(range[1] * axis.steps.length - 1e-6)];
    state.filters.set(axis.name, { steps: axis.steps.slice(Math.max(0, from), Math.max(from + 1, to)) });
  }
}

const allAxes = () => [...state.data.choices.map(choiceAxis), ...state.data.axes.map(scoreAxis)];

function computeMatching() {
  const limits = allAxes().filter((axis) => state.filters.has(axis.name)).map((axis) => [axis, rangeOf(axis) ?? [2, 2]]);
  const inside = (at, [low, high]) => at !== null && at >= low - 1e-9 && at <= high + 1e-9;
  state.matching = members().map((_, i) => limits.every(([axis, range]) => inside(axis.at[i], range)));
}

function drawParallel() {
  drawFacets();
  parallel = allAxes().filter((axis) => axis.numeric || facets.has(facetOf(axis.name)));
  const box = byId("parallel");
  const width = Math.max(byId("parallel-scroll").clientWidth, 2 * EDGE.side + EDGE.gap * (parallel.length - 1));
  box.style.width = `${width}px`;
  const height = box.clientHeight;
  const step = parallel.length > 1 ? (width - 2 * EDGE.side) / (parallel.length - 1) : 0;
  parallel.forEach((axis, i) => { axis.x = EDGE.side + i * step; });
  const canvas = box.querySelector("canvas") ?? el("canvas", { "aria-hidden": "true" });
  const node = svg("svg", { width, height, role: "group", "aria-label": "Parallel axes; each can be filtered" });
  node.append(...parallel.map((axis, i) => axisNode(axis, i, height)));
  redraw(box, canvas, node);
  drawLines(canvas, width, height);
  const found = state.matching.filter(Boolean).length;
  byId("matches").textContent = state.filters.size ? `${found} of ${plural(members().length, "architecture")} match` : "";
  byId("unbrush").disabled = !state.filters.size;
}

const yOf = (place, height) => height - EDGE.bottom - place * (height - EDGE.top - EDGE.bottom);
const placeOf = (y, height) => Math.min(1, Math.max(0, (height - EDGE.bottom - y) / (height - EDGE.top - EDGE.bottom)));

function axisNode(axis, i, height) {
  const range = rangeOf(axis);
  const [top, bottom] = [yOf(1, height), yOf(0, height)];
  const kept = range ? keptWords(axis, range) : "all";
  const node = svg("g", {
    transform: `translate(${axis.x} 0)`, tabindex: 0, role: "slider", "data-focus": axis.name, "aria-orientation": "vertical", "aria-label": `Filter by ${axis.shown ?? axis.name}`,
    "aria-valuemin": 0, "aria-valuemax": axis.steps.length, "aria-valuenow": range ? Math.round(range[1] * axis.steps.length) : 0, "aria-valuetext": kept,
    "aria-describedby": "parallel-help",
    on: { keydown: (event) => keyOn(axis, event), pointerdown: (event) => startDrag(axis, event, height) },
  });
  const [first, ...rest] = (axis.shown ?? axis.name).split(".");
  node.append(svg("rect", { class: "hit", x: -34, width: 68, y: 4, height: height - 8, rx: 6 }),
    svg("text", { class: "name", "text-anchor": "middle", y: rest.length ? 18 : 32 }, first),
    rest.length ? svg("text", { class: "name", "text-anchor": "middle", y: 32 }, rest.join(".")) : "",
    svg("line", { y1: top, y2: bottom }));
  const ends = axis.numeric ? [[0, axis.words(0), 16], [1, axis.words(1), -6]] : axis.steps.map((name, step) => [(step + 0.5) / axis.steps.length, name, 4]);
  for (const [place, words, shift] of ends) {
    node.append(svg("text", { x: axis.numeric ? 0 : 7, y: yOf(place, height) + shift, "text-anchor": axis.numeric ? "middle" : "start", "paint-order": "stroke", stroke: tone("card"), "stroke-width": 4 },
      inText(words)));
  }
  if (range) node.append(svg("rect", { class: "kept", x: -7, width: 14, y: yOf(Math.min(1, range[1]), height), height: Math.max(3, yOf(Math.max(0, range[0]), height) - yOf(Math.min(1, range[1]), height)), rx: 3 }));
  return node;
}

function keptWords(axis, range) {
  if (axis.numeric) return `${axis.words(range[0])} to ${axis.words(range[1])}`;
  return state.filters.get(axis.name).steps.join(", ");
}

/** Lines of all members: those filtered out first, then those dominated, then the front and the chosen one. */
function drawLines(canvas, width, height) {
  const dense = window.devicePixelRatio || 1;
  canvas.width = width * dense;
  canvas.height = height * dense;
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  const colours = colouring(members());
  const crowd = Math.max(0.1, Math.min(0.6, 60 / Math.max(1, state.matching.filter(Boolean).length)));
  const line = (member, i, colour, alpha, thick) => {
    pen.strokeStyle = colour;
    pen.globalAlpha = alpha;
    pen.lineWidth = thick;
    pen.beginPath();
    let open = false;
    for (const axis of parallel) {
      if (axis.at[i] === null) { open = false; continue; }
      // Within a step, members spread by their number: a band shows how many there are.
      const spread = axis.numeric ? 0 : (((i * 0.618034) % 1) - 0.5) * (0.55 / axis.steps.length);
      pen[open ? "lineTo" : "moveTo"](axis.x, yOf(axis.at[i] + spread, height));
      open = true;
    }
    pen.stroke();
  };
  const draw = (test, colour, alpha, thick) => members().forEach((member, i) => { if (test(member, i)) line(member, i, colour(member), alpha, thick); });
  const plain = tone("faint");
  if (state.filters.size) draw((_, i) => !state.matching[i], () => plain, 0.07, 1);
  draw((member, i) => state.matching[i] && !member.front, (member) => colours.of(member) ?? plain, crowd, 1);
  draw((member, i) => state.matching[i] && member.front, (member) => colours.of(member) ?? tone("accent"), 0.9, 1.8);
  draw((member) => member.key === state.key, () => tone("ink"), 1, 3);
}

// Pointer and keyboard

function startDrag(axis, event, height) {
  if (event.button !== 0) return;
  const top = byId("parallel").getBoundingClientRect().top;
  drag = { axis, height, top, from: event.clientY - top, moved: false };
  document.addEventListener("pointermove", onDrag);
  document.addEventListener("pointerup", endDrag, { once: true });
  document.addEventListener("pointercancel", endDrag, { once: true });
}

function onDrag(event) {
  const y = event.clientY - drag.top;
  if (!drag.moved && Math.abs(y - drag.from) < 5) return;
  drag.moved = true;
  const ends = [placeOf(drag.from, drag.height), placeOf(y, drag.height)].sort((a, b) => a - b);
  keep(drag.axis, ends);
  computeMatching();
  requestAnimationFrame(drawParallel);
}

function endDrag(event) {
  document.removeEventListener("pointermove", onDrag);
  const { axis, height, from, moved } = drag;
  drag = null;
  if (!moved && event.type === "pointerup") {
    const place = placeOf(from, height);
    const range = rangeOf(axis);
    const within = range && place >= range[0] && place <= range[1];
    const step = Math.min(axis.steps.length - 1, Math.floor(place * axis.steps.length));
    keep(axis, axis.numeric || within || from < EDGE.top - 8 ? null : [step / axis.steps.length, (step + 1) / axis.steps.length]);
  }
  filterChanged();
}

function keyOn(axis, event) {
  const n = axis.steps.length;
  const range = rangeOf(axis);
  let [low, high] = range ? [Math.floor(range[0] * n + 1e-6), Math.ceil(range[1] * n - 1e-6)] : [null, null];
  const up = event.key === "ArrowUp" || event.key === "ArrowRight";
  if (event.key === "Escape" || event.key === "Delete" || event.key === "Backspace") keep(axis, null);
  else if (up || event.key === "ArrowDown" || event.key === "ArrowLeft") {
    if (low === null) [low, high] = up ? [0, 1] : [n - 1, n];
    else if (event.shiftKey) [low, high] = up ? [low, Math.min(n, high + 1)] : [Math.max(0, low - 1), high];
    else low = Math.min(n - 1, Math.max(0, up ? high : low - 1)), high = low + 1;
    keep(axis, [low / n, high / n]);
  } else return;
  event.preventDefault();
  filterChanged();
  const found = state.matching.filter(Boolean).length;
  const now = rangeOf(axis);
  say(`${axis.shown ?? axis.name}: ${now ? keptWords(axis, now) : "all"}. ${found} of ${members().length} match.`);
}
