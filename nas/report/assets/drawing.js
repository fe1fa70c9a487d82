// The chosen architecture: its scores, a drawing stage by stage, the same as a table, and the command that exports it.

const MOST_SLABS = 12;
const TALL = 120;

function drawChosen() {
  const member = chosen();
  const head = byId("chosen-title").parentElement;
  if (!member) {
    redraw(head, byId("chosen-title"));
    redraw(byId("chosen-body"), el("p", { class: "muted" }, "Choose a point of the front, or a row of the table."));
    return;
  }
  redraw(head, byId("chosen-title"),
    el("span", { class: "badge" }, `trial ${member.number}`),
    member.front ? el("span", { class: "badge front" }, "front") : el("span", { class: "badge" }, "dominated"),
    member.key === state.data.knee ? el("span", { class: "badge knee" }, "knee") : null);
  const drawn = member.architecture;
  redraw(byId("chosen-body"),
    scoreList(member),
    ...(drawn?.stages ? [el("h3", {}, `Stage by stage, blocks × width, from ${drawn.input.resolution}×${drawn.input.resolution}×${drawn.input.channels} pixels`), picture(member), stageTable(member)]
      : [el("h3", {}, "Choices"), el("p", {}, inWords(drawn))]),
    ...command(member));
}

function scoreList(member) {
  const entry = (name, value, ...more) => el("div", {}, el("dt", {}, name), el("dd", {}, value, ...more));
  return el("dl", { class: "scores" }, state.data.axes.map((axis, i) => {
    const spread = spreadOf(member, axis);
    const whole = member.measured[i];
    return entry(label(axis), format(scoreOf(member, axis), axis.unit),
      spread ? el("small", { title: spread.of }, rangeIn(spread.low, spread.high, axis.unit).replace(/ (ms|%)$/, "")) : null,
      whole === null ? null : el("small", { title: "the whole network timed; the score is the latency table's" }, `measured ${format(whole, axis.unit)}`));
  }), told() ? entry("sure", format(member.sure, SURE.unit)) : null,
  member.replicates > 1 ? entry("mean of", `${member.replicates} replicates`) : null,
  member.trained.map((result) => entry(`trained: ${result.label}`, result.accuracy, el("small", {}, "test accuracy"))));
}

/** Slabs as a paper would draw them: height for the resolution, thickness for the width, one a block, colour for the operator. */
function picture(member) {
  const parts = partsOf(member.architecture);
  const whole = Math.max(280, byId("chosen-body").clientWidth);
  const column = whole / parts.length;
  const [largest, widest] = [parts[0].size, Math.max(...parts.map((part) => part.width))];
  const names = parts.map((part) => (part.kind === "stage" ? wrap(part.operator) : [part.name]));
  const below = TALL + 16 + 13 * Math.max(...names.map((lines) => lines.length));
  const node = svg("svg", { class: "drawing", viewBox: `0 0 ${whole} ${below + 34}`, height: below + 34, role: "img", "aria-label": inWords(member.architecture) });
  node.append(svg("line", { x1: column * 0.3, x2: whole - column * 0.3, y1: TALL / 2 + 4, y2: TALL / 2 + 4, stroke: tone("line"), "stroke-width": 2 }));
  parts.forEach((part, i) => {
    const middle = column * (i + 0.5);
    const slabs = Math.min(part.depth, MOST_SLABS);
    const room = (column - 10) / slabs;
    const thick = Math.max(2, Math.min(room - 2, 5 + 13 * Math.sqrt(part.width / widest)));
    const high = 14 + (TALL - 14) * Math.sqrt(part.size / largest);
    const colour = part.kind === "stage" ? operatorColour(part.operator) : tone("faint");
    const left = middle - (slabs * (thick + 2) - 2) / 2;
    for (let slab = 0; slab < slabs; slab += 1) {
      node.append(svg("rect", { x: left + slab * (thick + 2), y: 4 + (TALL - high) / 2, width: thick, height: high, rx: 2, fill: colour, stroke: tone("card") }));
    }
    const text = (line, y, kind) => svg("text", { x: middle, y, "text-anchor": "middle", class: kind }, line);
    names[i].forEach((line, row) => node.append(text(line, TALL + 20 + 13 * row, "")));
    node.append(text(`${part.depth > 1 ? `${part.depth}×` : ""}${part.width}`, below + 12, "muted"));
    node.append(text(part.kind === "head" ? "" : `${part.size}²`, below + 26, "muted"));
  });
  return node;
}

/** A name in lines short enough for a narrow column. */
const wrap = (name) => name.split(" ");

function stageTable(member) {
  const parts = partsOf(member.architecture);
  const costs = Object.entries(member.shares).filter(([, shares]) => shares !== null);
  const cell = (text) => el("td", { class: "number" }, text);
  return el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Stages", "data-focus": "stages" }, el("table", { class: "tight" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Part"), el("th", { scope: "col" }, "Operator"), el("th", { scope: "col", class: "number" }, "Width"),
      el("th", { scope: "col", class: "number" }, "Output"),
      costs.map(([name]) => el("th", { scope: "col" }, name === "macs" ? "MACs" : "Latency")))),
    el("tbody", {}, parts.map((part, i) => el("tr", {},
      el("th", { scope: "row" }, part.name),
      el("td", {}, swatch(part.kind === "stage" ? operatorColour(part.operator) : tone("faint")), " ", part.operator, el("small", {}, part.options)),
      cell(`${part.depth} × ${part.width}`), cell(part.kind === "head" ? "1" : `${part.size}×${part.size}`),
      costs.map(([, shares]) => meter(shares[i])))))));
}

/** A table cell whose ground shows a share. */
function meter(share) {
  return el("td", { class: "meter" }, el("i", { style: { width: `${Math.max(0, Math.min(1, share)) * 92}%` }, "aria-hidden": "true" }), el("span", {}, `${(100 * share).toFixed(0)} %`));
}

function command(member) {
  if (!/^[0-9a-f]{4,64}$/.test(member.key) || !member.architecture?.stages) return [];
  const words = `python -m nas.export ${state.data.run} --pick key:${member.key} --to ${member.key.slice(0, 8)}`;
  const text = el("code", { id: "command" }, words);
  const button = el("button", { type: "button", "data-focus": "copy", on: { click: () => copy(words, button) } }, "Copy");
  return [el("h3", {}, "Take it away"), el("div", { class: "command" }, text, button)];
}

async function copy(words, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    const area = el("textarea", { class: "unseen" }, words);
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = done ? "Copied" : "Select it, then Ctrl-C";
  say(done ? "The command is copied." : "The command could not be copied.");
  setTimeout(() => { button.textContent = "Copy"; }, 1800);
}
