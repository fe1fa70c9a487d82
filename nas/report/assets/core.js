// What all parts share: the data and what is chosen in them, elements, numbers, colours. Text reaches the page as text only.

const state = {
  data: JSON.parse(document.getElementById("data").textContent),
  x: null, y: null, colour: null, // names of axes; the colour may be "operator" or "none"
  key: null, // the chosen member
  filters: new Map(), // name of a parallel axis -> what is kept of it
  matching: [], // whether each member passes the filters
};

const byId = (id) => document.getElementById(id);

/** An HTML element: attributes, then children (nodes or text). `style` is an object, `on` holds listeners. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") Object.assign(node.style, value);
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Draws a part anew without losing the keyboard's place in it: elements are found again by `data-focus`. */
function redraw(node, ...children) {
  const held = node.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  node.replaceChildren(...children.flat().filter((child) => child !== null));
  if (held !== undefined) [...node.querySelectorAll("[data-focus]")].find((n) => n.dataset.focus === held)?.focus({ preventScroll: true });
}

function say(text) {
  byId("say").textContent = text;
}

// Numbers

/** A score as people read it; the same rules as the table on the terminal. */
function format(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "fraction") return `${(100 * value).toFixed(2)} %`;
  if (unit === "probability") return `${(100 * value).toFixed(0)} %`;
  if (unit === "parameters" || unit === "multiply-adds") {
    for (const [suffix, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (Math.abs(value) >= size) return `${digits(value / size)} ${suffix}`;
    }
    return String(Math.round(value));
  }
  return `${digits(value)}${unit ? ` ${unit}` : ""}`;
}

const digits = (value) => String(Number(value.toPrecision(3)));
const plural = (n, word, many = `${word}s`) => `${n} ${n === 1 ? word : many}`;

// Axes and members

const TRIAL = { name: "trial", unit: "", goal: null, objective: false };
const SURE = { name: "sure", unit: "probability", goal: null, objective: false };
const told = () => members().some((member) => typeof member.sure === "number");
const axes = () => [...state.data.axes, ...(told() ? [SURE] : []), TRIAL];
const axisOf = (name) => axes().find((axis) => axis.name === name) ?? TRIAL;
const isLog = (axis) => axis.goal !== null && axis.unit !== "fraction";
const members = () => state.data.members;
const chosen = () => members().find((member) => member.key === state.key) ?? null;

function scoreOf(member, axis) {
  const at = state.data.axes.findIndex((one) => one.name === axis.name);
  return at >= 0 ? member.scores[at] : axis.name === SURE.name ? member.sure : member.number;
}

function spreadOf(member, axis) {
  const at = state.data.axes.findIndex((one) => one.name === axis.name);
  return at < 0 ? null : member.spread[at];
}

const WORDS = { macs: "MACs", params: "parameters", latency_ms: "latency" };
const label = (axis) => WORDS[axis.name] ?? axis.name.replaceAll("_", " ");
/** A range in one unit, as short as it reads: `0.514–0.596 ms`. */
function rangeIn(low, high, unit) {
  const [from, to] = [format(low, unit), format(high, unit)];
  const suffix = / \S+$/.exec(to)?.[0];
  return `${suffix && from.endsWith(suffix) ? from.slice(0, -suffix.length) : from}–${to}`;
}

const title = (axis) => (axis.goal === null ? label(axis) : `${label(axis)} (${axis.goal === "min" ? "less" : "more"} is better)`);
const scoresIn = (member) => state.data.axes.map((axis) => `${label(axis)} ${format(scoreOf(member, axis), axis.unit)}`).join(", ");

// Architectures

/** A stage's operator: its mixer, and which shuffle where there are several. */
const operatorOf = (stage) => inText(stage.shuffle === undefined ? String(stage.mixer) : `${stage.mixer} (${stage.shuffle})`);
const inText = (name) => name.replace("static_dynamic", "static-dynamic").replaceAll("_", " ");

/** The operator that most stages of a member use; of several the first. */
function mainOperator(member) {
  const counts = new Map();
  for (const stage of member.architecture?.stages ?? []) counts.set(operatorOf(stage), (counts.get(operatorOf(stage)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/** All operators of the run, in order of their names. */
function operators() {
  return [...new Set(members().flatMap((member) => (member.architecture?.stages ?? []).map(operatorOf)))].sort();
}

const KNOWN = ["mixer", "depth", "width", "stride"];
const optionsOf = (stage) =>
  Object.entries(stage).filter(([name]) => !KNOWN.includes(name) && name !== "shuffle")
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join("+") : value}`).join(", ");

/** The parts of a network in order, each with its size: input, stem, stages, head. */
function partsOf(architecture) {
  const { input, stem, stages, head } = architecture;
  let size = Math.ceil(input.resolution / stem.stride);
  if (stem.pool) size = Math.ceil(size / 2);
  const parts = [{ kind: "stem", name: "stem", operator: "conv", depth: 1, width: stem.width, size, options: `kernel ${stem.kernel}${stem.pool ? ", max pool" : ""}` }];
  stages.forEach((stage, i) => {
    size = Math.ceil(size / stage.stride);
    parts.push({ kind: "stage", name: `stage ${i + 1}`, operator: operatorOf(stage), depth: stage.depth, width: stage.width, size, options: optionsOf(stage) });
  });
  parts.push({ kind: "head", name: "head", operator: head ? "1×1 and linear" : "linear", depth: 1, width: head || stages.at(-1).width, size: 1, options: plural(architecture.classes, "class", "classes") });
  return parts;
}

/** An architecture in one line. */
function inWords(architecture) {
  if (architecture === null) return "an architecture that this page cannot read";
  if (architecture.genes) return Object.entries(architecture.genes).map(([name, value]) => `${name} ${value}`).join(", ");
  const stages = architecture.stages.map((stage) => `${stage.depth}×${operatorOf(stage)} ${stage.width}`);
  return `${architecture.input.resolution} px · stem ${architecture.stem.width} · ${stages.join(" · ")}${architecture.head ? ` · head ${architecture.head}` : ""}`;
}

// Colours

const OPERATOR_COLOURS = {
  pix: "#1f83c4", conv1x1: "#e39a12", mux: "#c4559f", "inverted residual": "#8f74dd",
  "shuffle (fixed)": "#8ccfae", "shuffle (dynamic)": "#1f9e78", "shuffle (static-dynamic)": "#0f6b56",
  "shuffle v2 (fixed)": "#b4c3f5", "shuffle v2 (dynamic)": "#6f86ee", "shuffle v2 (static-dynamic)": "#3c4fb5",
};
const SPARE = ["#1f83c4", "#e39a12", "#1f9e78", "#c4559f", "#8f74dd", "#a0783c", "#5d6d7e", "#d4574e"];
const operatorColour = (name) => OPERATOR_COLOURS[name] ?? SPARE[Math.max(0, operators().indexOf(name)) % SPARE.length];
const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = () => document.documentElement.dataset.theme === "dark";

/** From low to high; both ends stand out from the ground. */
const scale = () => (dark()
  ? [[0, "#5a63d6"], [0.35, "#b45fc4"], [0.7, "#f58a6a"], [1, "#ffe27a"]]
  : [[0, "#f0b429"], [0.35, "#e2665f"], [0.7, "#93369b"], [1, "#2b2a86"]]);

/** The scale at a place from 0 to 1. */
function shade(place) {
  const stops = scale();
  const at = Math.min(Math.max(place, 0), 1);
  const i = Math.max(1, stops.findIndex(([stop]) => at <= stop));
  const [[from, a], [to, b]] = [stops[i - 1], stops[i]];
  const part = (at - from) / (to - from);
  const mix = [1, 3, 5].map((c) => Math.round(parseInt(a.slice(c, c + 2), 16) * (1 - part) + parseInt(b.slice(c, c + 2), 16) * part));
  return `rgb(${mix.join(",")})`;
}

const swatch = (colour, shape = "") => el("span", { class: `swatch ${shape}`, style: { background: colour }, "aria-hidden": "true" });

/** Plotly's layout in the page's colours. */
function layout(extra) {
  const axis = { gridcolor: tone("grid"), linecolor: tone("line"), zeroline: false, automargin: true, ticks: "", tickangle: 0, title: { standoff: 12 } };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif", size: 12, color: tone("muted") },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: tone("faint"), activecolor: tone("accent") },
    margin: { l: 56, r: 12, t: 8, b: 48 }, dragmode: coarse() ? false : "zoom",
    ...extra, xaxis: { ...axis, ...extra.xaxis }, yaxis: { ...axis, ...extra.yaxis },
  };
}

const narrow = () => window.innerWidth < 640;
const coarse = () => window.matchMedia("(pointer: coarse)").matches;
const PLOT = { responsive: true, displayModeBar: coarse() ? false : "hover", displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"] };

/** Ticks of an axis with the units of its scores; costs at 1, 2 and 5 of each decade. */
function ticks(axis, values) {
  if (axis.unit === "fraction" || axis.unit === "probability") return { tickformat: ".3~%" };
  if (!isLog(axis) || !values.length) return {};
  const low = Math.min(...values), high = Math.max(...values);
  const steps = high / low > 3000 ? [1] : high / low > 8 ? [1, 2, 5] : high / low > 2 ? [1, 1.5, 2, 3, 5, 7] : [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9];
  const at = [];
  for (let power = Math.floor(Math.log10(low)) - 2; power <= Math.ceil(Math.log10(high)) + 2; power += 1) {
    for (const step of steps) at.push(step * 10 ** power);
  }
  return { type: "log", tickmode: "array", tickvals: at, ticktext: at.map((value) => format(value, axis.unit)) };
}
