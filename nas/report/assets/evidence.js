// What the run tells as a whole: hypervolume, operators along the front, importance of choices, failures.

let historyBy = "trials";

function drawHistory() {
  const box = byId("history-by");
  redraw(box, box.querySelector("legend"), ["trials", "hours"].map((name) => el("label", {},
    el("input", { type: "radio", name: "history", checked: name === historyBy, "data-focus": name, on: { change: () => { historyBy = name; drawHistory(); } } }), name)));
  const { values, [historyBy]: along } = state.data.history;
  const minutes = historyBy === "hours" && (along.at(-1) ?? 0) < 2;
  const x = minutes ? along.map((hours) => hours * 60) : along;
  const word = historyBy === "trials" ? "finished trials" : minutes ? "minutes of evaluation" : "hours of evaluation";
  Plotly.react(byId("history"), [{
    type: "scatter", mode: x.length < 3 ? "markers" : "lines", x, y: values, line: { shape: "hv", color: tone("accent"), width: 2 },
    hovertemplate: `%{y:.4f} after %{x:.4~g} ${word}<extra></extra>`,
  }], layout({ xaxis: { title: { text: word }, rangemode: "tozero" }, yaxis: { title: { text: "hypervolume" }, tickformat: ".3~g" } }), { ...PLOT, displayModeBar: false });
  const ends = values.length ? `from ${values[0].toFixed(3)} to ${values.at(-1).toFixed(3)} over ${digits(x.at(-1))} ${word}` : "nothing yet";
  byId("history").setAttribute("aria-label", `Hypervolume: ${ends}.`);
}

/** The front cut along the horizontal score into groups of equal size, with each operator's share of their stages. */
function alongFront() {
  const axis = axisOf(state.x).goal === null ? axisOf(state.data.axes[1]?.name) : axisOf(state.x);
  const list = members().filter((member) => member.front && member.architecture?.stages && scoreOf(member, axis) !== null).sort((a, b) => scoreOf(a, axis) - scoreOf(b, axis));
  const groups = Math.min(8, list.length);
  const names = operators();
  const rows = Array.from({ length: groups }, (_, i) => {
    const part = list.slice(Math.round((i * list.length) / groups), Math.round(((i + 1) * list.length) / groups));
    const stages = part.flatMap((member) => member.architecture.stages.map(operatorOf));
    const [low, high] = [part[0], part.at(-1)].map((member) => format(scoreOf(member, axis), axis.unit));
    return { words: low === high ? low : `${low} to ${high}`, low, members: part.length, shares: names.map((name) => stages.filter((one) => one === name).length / stages.length) };
  });
  return { axis, names, rows };
}

function drawOperators() {
  const { axis, names, rows } = alongFront();
  byId("operators-card").hidden = !names.length;
  if (!names.length) return;
  const used = names.filter((_, i) => rows.some((row) => row.shares[i] > 0));
  const index = (name) => names.indexOf(name);
  Plotly.react(byId("operators"), used.map((name) => ({
    type: "bar", name, x: rows.map((_, i) => i), y: rows.map((row) => row.shares[index(name)]), marker: { color: operatorColour(name), line: { color: tone("card"), width: 1 } },
    customdata: rows.map((row) => `${name}, ${row.words}, ${plural(row.members, "architecture")}`), hovertemplate: "%{y:.0%} %{customdata}<extra></extra>",
  })), layout({
    barmode: "stack", bargap: 0.12, hovermode: "closest",
    xaxis: { title: { text: `${label(axis)} of the front, from` }, tickmode: "array", tickvals: rows.map((_, i) => i), ticktext: rows.map((row) => row.low), fixedrange: true },
    yaxis: { title: { text: "share of stages" }, tickformat: ".0%", range: [0, 1], fixedrange: true },
  }), { ...PLOT, displayModeBar: false });
  redraw(byId("operators-legend"), used.map((name) => el("li", {}, swatch(operatorColour(name)), name)));
  const most = rows.map((row) => `${row.words}: ${names[row.shares.indexOf(Math.max(...row.shares))]}`);
  byId("operators").setAttribute("aria-label", `The operator of most stages by ${label(axis)} along the front. ${most.join("; ")}.`);
  redraw(byId("operators-table"), el("table", {},
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, label(axis)), el("th", { scope: "col", class: "number" }, "Architectures"), used.map((name) => el("th", { scope: "col", class: "number" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, el("th", { scope: "row" }, row.words), el("td", { class: "number" }, row.members),
      used.map((name) => el("td", { class: "number" }, `${(100 * row.shares[index(name)]).toFixed(0)} %`)))))));
}

function drawImportance() {
  const { rows, objectives, least } = state.data.importance;
  if (!rows.length) {
    redraw(byId("importance"), el("p", { class: "muted" }, members().length < least ? `Told from ${least} finished architectures on; there are ${members().length}.` : "No choice varies."));
    return;
  }
  redraw(byId("importance"), el("table", {},
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Choice"), objectives.map((name) => el("th", { scope: "col" }, label(axisOf(name)))))),
    el("tbody", {}, rows.slice(0, 12).map((row) => el("tr", {}, el("th", { scope: "row" }, row.choice), row.shares.map(meter))))));
}

function drawFailures() {
  const { failures, counts } = state.data;
  byId("failures-card").hidden = !failures.length;
  redraw(byId("failures"),
    el("p", { class: "muted" }, `${counts.failed} of ${plural(counts.failed + counts.finished, "ended trial")}, by kind. They have no scores and are no part of the front.`),
    failures.map((failure) => el("details", { class: "failure" },
      el("summary", { "data-focus": failure.kind }, el("b", {}, failure.count), ` ${failure.kind.replaceAll("_", " ")} `, el("span", { class: "muted" }, failure.meaning && `– ${failure.meaning}`)),
      el("ul", {}, failure.examples.map((one) => el("li", {}, `trial ${one.number}: `, el("span", { class: "mono" }, one.message || "no message")))),
      failure.count > failure.examples.length ? el("p", { class: "muted" }, `… and ${failure.count - failure.examples.length} earlier ones`) : null)));
}
