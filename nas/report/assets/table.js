// The table of architectures: the page's content for who does not use the charts, sortable, with the filters applied.

const PAGE = 100;
let rowsOf = "front";
let sorted = { by: null, down: false };
let most = PAGE;

function drawTable() {
  const box = byId("rows");
  redraw(box, box.querySelector("legend"), ["front", "all finished"].map((name) => el("label", {},
    el("input", { type: "radio", name: "rows", checked: name === rowsOf, "data-focus": name, on: { change: () => { rowsOf = name; most = PAGE; drawTable(); } } }), name)));
  const list = members().filter((member, i) => state.matching[i] && (rowsOf !== "front" || member.front));
  const by = axisOf(sorted.by ?? state.data.axes[Math.min(1, state.data.axes.length - 1)].name);
  const value = (member) => scoreOf(member, by) ?? Infinity;
  list.sort((a, b) => (sorted.down ? value(b) - value(a) : value(a) - value(b)) || a.number - b.number);
  const heads = [TRIAL, ...state.data.axes, ...(told() ? [SURE] : [])];
  const trained = members().some((member) => member.trained.length);
  redraw(byId("trials-table"), el("table", {},
    el("caption", { class: "unseen" }, `${rowsOf === "front" ? "The front" : "All finished architectures"}, sorted by ${label(by)}`),
    el("thead", {}, el("tr", {}, heads.map((axis) => headCell(axis, by)), trained ? el("th", { scope: "col" }, "Trained in full, test accuracy") : null, el("th", { scope: "col" }, "Architecture"), el("th", { scope: "col" }, "Key"))),
    el("tbody", {}, list.slice(0, most).map((member) => rowOf(member, trained)))));
  byId("trials-count").textContent = `${Math.min(most, list.length)} of ${plural(list.length, "row")}`;
  byId("more").hidden = list.length <= most;
}

function headCell(axis, by) {
  const here = axis.name === by.name;
  const mark = here ? (sorted.down ? " ↓" : " ↑") : "";
  const sort = () => { sorted = { by: axis.name, down: here && !sorted.down }; drawTable(); };
  return el("th", { scope: "col", class: "number", "aria-sort": here ? (sorted.down ? "descending" : "ascending") : null },
    el("button", { type: "button", "data-focus": `sort ${axis.name}`, on: { click: sort } }, label(axis), el("span", { "aria-hidden": "true" }, mark)));
}

function rowOf(member, trained) {
  const named = member.key === state.data.knee ? "◆ " : "";
  return el("tr", { "aria-current": member.key === state.key ? "true" : null },
    el("th", { scope: "row", class: "number" }, el("button", { type: "button", "data-focus": member.key, "aria-label": `Show trial ${member.number}${named ? ", the knee" : ""}`, on: { click: () => choose(member.key) } }, `${named}${member.number}`)),
    state.data.axes.map((axis) => el("td", { class: "number" }, format(scoreOf(member, axis), axis.unit))),
    told() ? el("td", { class: "number" }, format(member.sure, SURE.unit)) : null,
    trained ? el("td", {}, member.trained.map((result) => el("div", {}, `${result.accuracy} `, el("span", { class: "muted" }, result.label)))) : null,
    el("td", { class: "long" }, inWords(member.architecture)), el("td", { class: "mono" }, member.key.slice(0, 8)));
}
