// The scatter of two scores, drawn by plotly: the front joined by a line, what it dominates faint, the knee and the chosen one marked.

const MANY = 1500;
let walk = null; // where the keyboard stands on the front
let shown = null; // what was drawn last, for hover and keyboard

/** Members that no other beats on both axes, by the horizontal one. */
function frontOn(x, y) {
  if (x.goal === null || y.goal === null || x.name === y.name) return [];
  const sign = (axis) => (axis.goal === "min" ? 1 : -1);
  const points = members().map((member) => [sign(x) * scoreOf(member, x), sign(y) * scoreOf(member, y), member])
    .filter(([, , member]) => scoreOf(member, x) !== null && scoreOf(member, y) !== null);
  points.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let best = Infinity;
  return points.filter(([, cost]) => cost < best && ((best = cost), true)).map(([, , member]) => member);
}

function drawFront() {
  const [x, y] = [axisOf(state.x), axisOf(state.y)];
  const drawn = members().filter((member) => scoreOf(member, x) !== null && scoreOf(member, y) !== null);
  const kept = new Set(members().filter((_, i) => state.matching[i]));
  const line = frontOn(x, y);
  const knee = drawn.filter((member) => member.key === state.data.knee);
  const one = drawn.filter((member) => member.key === state.key);
  const rest = drawn.filter((member) => !member.front);
  const colours = colouring(drawn);
  const small = rest.length > MANY ? 4 : 6;
  const traces = [
    points(rest.filter((m) => !kept.has(m)), x, y, { color: tone("faint"), size: small - 1, opacity: 0.14 }),
    points(rest.filter((m) => kept.has(m)), x, y, { ...colours.marker(rest.filter((m) => kept.has(m)), tone("faint")), size: small, opacity: 0.45 }),
    { ...points(line, x, y, {}), mode: "lines", line: { color: tone("accent"), width: 1.5, shape: "linear" }, hoverinfo: "skip" },
    points(drawn.filter((m) => m.front && !kept.has(m)), x, y, { color: tone("faint"), size: 8, opacity: 0.3 }),
    bars(points(drawn.filter((m) => m.front && kept.has(m)), x, y, {
      ...colours.marker(drawn.filter((m) => m.front && kept.has(m)), tone("accent")), size: 9, line: { color: tone("card"), width: 1 },
    }), drawn.filter((m) => m.front && kept.has(m)), x, y),
    points(knee, x, y, { symbol: "diamond", size: 13, color: tone("knee"), line: { color: tone("card"), width: 1.5 } }),
    bars(points(one, x, y, { symbol: "circle-open", size: 19, color: tone("ink"), line: { width: 2.5, color: tone("ink") } }), one, x, y),
  ];
  shown = { traces, walk: drawn.filter((m) => m.front).sort((a, b) => scoreOf(a, x) - scoreOf(b, x)) };
  const values = (axis) => drawn.map((member) => scoreOf(member, axis)).filter((value) => value > 0);
  const look = layout({
    uirevision: `${state.x} ${state.y}`,
    xaxis: { title: { text: title(x), standoff: 12 }, ...ticks(x, values(x)) },
    yaxis: { title: { text: title(y), standoff: 12 }, ...ticks(y, values(y)) },
    coloraxis: colours.axis,
  });
  drawLegend(colours); // first, since the chart takes the height that is left
  const node = byId("front");
  const first = !node.classList.contains("js-plotly-plot");
  Plotly.react(node, traces, look, PLOT);
  if (first) {
    node.on("plotly_hover", ({ points: [point] }) => showTip(point.curveNumber, point.pointNumber));
    node.on("plotly_unhover", hideTip);
    node.on("plotly_click", ({ points: [point] }) => choose(shown.traces[point.curveNumber].customdata[point.pointNumber]));
    node.addEventListener("keydown", walkFront);
    node.addEventListener("blur", hideTip);
  }
  node.setAttribute("aria-label", `${title(y)} against ${title(x)}: ${plural(members().length, "architecture")}, ` +
    `${shown.walk.length} of them on the front.`);
}

function points(list, x, y, marker) {
  return {
    type: "scatter", mode: "markers", hoverinfo: "none", marker, customdata: list.map((member) => member.key),
    x: list.map((member) => scoreOf(member, x)), y: list.map((member) => scoreOf(member, y)),
  };
}

/** Adds error bars where the spread of a score is known. */
function bars(trace, list, x, y) {
  for (const [name, axis] of [["error_x", x], ["error_y", y]]) {
    const spreads = list.map((member) => spreadOf(member, axis));
    if (!spreads.some(Boolean)) continue;
    const away = (side) => list.map((member, i) => (spreads[i] ? Math.max(0, side * (spreads[i][side > 0 ? "high" : "low"] - scoreOf(member, axis))) : 0));
    trace[name] = { type: "data", symmetric: false, array: away(1), arrayminus: away(-1), thickness: 1.2, width: 3, color: tone("muted") };
  }
  return trace;
}

/** How members are coloured: by a score, by their main operator, or not. */
function colouring(drawn) {
  if (state.colour === "operator") {
    return { marker: (list, plain) => ({ color: list.map((m) => (mainOperator(m) ? operatorColour(mainOperator(m)) : plain)) }), of: operatorOfMember, names: operators() };
  }
  const axis = axes().find((one) => one.name === state.colour);
  if (!axis) return { marker: (_, plain) => ({ color: plain }), of: () => null };
  const position = (value) => (isLog(axis) ? Math.log10(Math.max(value, 1e-9)) : value);
  const values = drawn.map((member) => scoreOf(member, axis)).filter((value) => value !== null).map(position);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const at = (narrow() ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) => low + part * (high - low));
  return {
    marker: (list) => ({ color: list.map((member) => position(scoreOf(member, axis))), coloraxis: "coloraxis" }),
    of: (member) => shade(high > low ? (position(scoreOf(member, axis)) - low) / (high - low) : 1),
    axis: {
      cmin: low, cmax: high, colorscale: scale(),
      colorbar: {
        ...(narrow() ? { orientation: "h", y: 1, yanchor: "bottom", ypad: 2, title: { text: "" } } : { title: { text: label(axis), side: "right" } }),
        thickness: 9, outlinewidth: 0, len: 0.9, tickmode: "array", tickvals: at,
        ticktext: at.map((value) => format(isLog(axis) ? 10 ** value : value, axis.unit)),
      },
    },
  };
}

const operatorOfMember = (member) => (mainOperator(member) ? operatorColour(mainOperator(member)) : null);

function drawLegend(colours) {
  const plain = state.colour === "none";
  const spread = members().some((m) => m.front && [state.x, state.y].some((name) => spreadOf(m, axisOf(name))));
  redraw(byId("front-legend"),
    colours.names ? colours.names.map((name) => el("li", {}, swatch(operatorColour(name), "round"), name)) : null,
    el("li", {}, swatch(plain ? tone("accent") : tone("muted"), "round"), "front of all objectives"),
    el("li", {}, swatch(tone("faint"), "round"), "dominated"),
    el("li", {}, el("span", { style: { color: tone("accent") }, "aria-hidden": "true" }, "━"), "front of these two"),
    el("li", {}, swatch(tone("knee"), "diamond"), "knee"),
    spread ? el("li", {}, el("span", { "aria-hidden": "true" }, "├┤"), "± 1 s.d., or interval") : null);
}

function showTip(curve, index) {
  const member = members().find((one) => one.key === shown.traces[curve].customdata[index]);
  if (!member) return;
  const tip = byId("tip");
  const named = member.key === state.data.knee ? " · knee" : member.front ? " · front" : "";
  tip.replaceChildren(
    el("b", {}, `Trial ${member.number}`), el("span", { class: "muted" }, named),
    el("p", {}, state.data.axes.map((axis) => el("span", {}, el("span", { class: "muted" }, `${label(axis)} `), el("b", {}, format(scoreOf(member, axis), axis.unit)))),
      told() ? el("span", {}, el("span", { class: "muted" }, "sure "), el("b", {}, format(member.sure, SURE.unit))) : null),
    stagesIn(member.architecture));
  const place = spot(curve, index);
  const card = tip.parentElement.getBoundingClientRect();
  tip.hidden = false;
  const left = place.x - card.left - 1; // the card has a border
  const beside = left + 16 + tip.offsetWidth > card.width ? left - tip.offsetWidth - 16 : left + 16;
  const mark = byId("mark");
  mark.hidden = false;
  Object.assign(mark.style, { left: `${left}px`, top: `${place.y - card.top - 1}px` });
  tip.style.left = `${Math.max(4, beside)}px`;
  tip.style.top = `${Math.max(4, place.y - card.top - tip.offsetHeight / 2)}px`;
}

/** The architecture stage by stage, as the tip lists it. */
function stagesIn(architecture) {
  if (!architecture?.stages) return el("p", {}, inWords(architecture));
  return el("ol", {}, partsOf(architecture).map((part) => el("li", {},
    swatch(part.kind === "stage" ? operatorColour(part.operator) : tone("faint")),
    el("span", {}, part.kind === "stage" ? `${part.depth} × ${part.operator}, ` : `${part.name}, `,
      `${part.width} ch${part.kind === "head" ? "" : `, ${part.size}²`}`, part.kind === "stage" ? el("span", { class: "muted" }, ` ${part.options}`) : null))));
}

/** Where a point stands in the window. */
function spot(curve, index) {
  const node = byId("front");
  const { xaxis, yaxis } = node._fullLayout;
  const box = node.getBoundingClientRect();
  const trace = shown.traces[curve];
  return { x: box.left + xaxis._offset + xaxis.d2p(trace.x[index]), y: box.top + yaxis._offset + yaxis.d2p(trace.y[index]) };
}

function hideTip() {
  byId("tip").hidden = true;
  byId("mark").hidden = true;
}

function walkFront(event) {
  const path = shown.walk;
  if (!path.length || event.target !== byId("front")) return;
  const at = path.findIndex((member) => member.key === walk);
  const from = at < 0 ? path.findIndex((member) => member.key === state.key) : at;
  const steps = { ArrowRight: from + 1, ArrowUp: from + 1, ArrowLeft: from - 1, ArrowDown: from - 1, Home: 0, End: path.length - 1 };
  if (event.key === "Enter" || event.key === " ") {
    if (walk !== null) choose(walk);
  } else if (event.key === "Escape") {
    hideTip();
  } else if (event.key in steps) {
    const to = path[Math.min(Math.max(steps[event.key], 0), path.length - 1)];
    walk = to.key;
    const curve = shown.traces.findIndex((trace) => trace.mode === "markers" && trace.customdata.includes(walk));
    showTip(curve, shown.traces[curve].customdata.indexOf(walk));
    say(`Trial ${to.number}: ${scoresIn(to)}. ${inWords(to.architecture)}`);
  } else return;
  event.preventDefault();
}
