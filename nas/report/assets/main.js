// Puts the parts together, minds the controls and the theme, and asks for new data while a search runs.

const POLL_MS = 2000;

function choose(key) {
  state.key = key;
  walk = key;
  hideTip();
  drawChosen();
  drawFront();
  drawParallel();
  drawTable();
  const member = chosen();
  if (member) say(`Chosen: trial ${member.number}. ${scoresIn(member)}.`);
}

function filterChanged() {
  computeMatching();
  most = PAGE;
  drawParallel();
  drawFront();
  drawTable();
}

function drawFigures() {
  const { counts, hypervolume, axes: [first], limits, recipe } = state.data;
  const leading = members().filter((member) => member.front);
  const scores = leading.map((member) => scoreOf(member, first)).filter((value) => value !== null);
  const best = scores.length ? (first.goal === "min" ? Math.min(...scores) : Math.max(...scores)) : null;
  const figure = (value, words) => el("li", {}, el("strong", {}, value), el("span", {}, words));
  redraw(byId("figures"),
    figure(counts.finished, "finished"), figure(counts.failed, "failed"), counts.running ? figure(counts.running, "under way") : null,
    figure(leading.length, "on the front"), figure(hypervolume === null ? "–" : hypervolume.toFixed(3), "hypervolume"), figure(format(best, first.unit), `best ${label(first)}`));
  byId("subtitle").textContent = [state.data.axes.filter((axis) => axis.objective).map((axis) => label(axis)).join(", "), recipe && `scores by the recipe ${recipe}`, limits.length && `limits ${limits.join(", ")}`].filter(Boolean).join(" · ");
}

function drawControls() {
  const names = axes().map((axis) => axis.name);
  const [second, first] = [state.data.axes[1]?.name ?? "trial", state.data.axes[0].name];
  if (!names.includes(state.x)) state.x = second;
  if (!names.includes(state.y)) state.y = first;
  const shades = [...state.data.axes.filter((axis) => axis.name !== state.x && axis.name !== state.y).map((axis) => axis.name), ...(told() ? [SURE.name] : []), ...(operators().length ? ["operator"] : []), "none"];
  if (!shades.includes(state.colour)) state.colour = shades[0];
  const options = (node, list, now) => node.replaceChildren(...list.map((name) => el("option", { value: name, selected: name === now }, name === "operator" ? "main operator" : name === "none" ? "none" : label(axisOf(name)))));
  options(byId("x"), names, state.x);
  options(byId("y"), names.filter((name) => name !== "trial"), state.y);
  options(byId("colour"), shades, state.colour);
}

function drawAll() {
  const some = members().length > 0;
  byId("empty").hidden = some;
  for (const part of document.querySelectorAll(".needs")) part.hidden = !some;
  drawFigures();
  drawFailures();
  if (!some) return;
  if (!chosen()) state.key = state.data.knee ?? members()[0].key;
  byId("sure-help").hidden = !told();
  drawControls();
  computeMatching();
  drawChosen();
  drawFront();
  drawParallel();
  drawHistory();
  drawOperators();
  drawImportance();
  drawTable();
}

// The theme: the system's unless one was chosen; the choice is kept where the browser lets a page keep anything.

const system = window.matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try { return localStorage.getItem("nas-theme") ?? "auto"; } catch { return "auto"; }
}

function applyTheme(wish) {
  document.documentElement.dataset.theme = wish === "auto" ? (system.matches ? "dark" : "light") : wish;
}

function startTheme() {
  const select = byId("theme");
  select.value = ["auto", "light", "dark"].includes(remembered()) ? remembered() : "auto";
  applyTheme(select.value);
  select.addEventListener("change", () => {
    try { localStorage.setItem("nas-theme", select.value); } catch { /* a page from a file may keep nothing */ }
    applyTheme(select.value);
    drawAll();
  });
  system.addEventListener("change", () => { applyTheme(select.value); drawAll(); });
}

// Live data: the server answers 304 while nothing has changed; what is chosen, filtered and focused stays.

let tag = null;

async function poll() {
  const pill = byId("live");
  try {
    const answer = await fetch("data.json", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 200) {
      state.data = await answer.json();
      tag = answer.headers.get("ETag");
      if (!drag) drawAll();
    } else if (answer.status !== 304) throw new Error(`status ${answer.status}`);
    pill.classList.remove("lost");
    pill.textContent = state.data.going === false ? "search has ended" : "live";
  } catch {
    pill.classList.add("lost");
    pill.textContent = "no connection, trying again";
  }
  setTimeout(poll, POLL_MS);
}

for (const name of ["x", "y", "colour"]) {
  byId(name).addEventListener("change", (event) => {
    state[name] = event.target.value;
    drawControls();
    drawFront();
    drawParallel();
    drawOperators();
  });
}
byId("unbrush").addEventListener("click", () => { state.filters.clear(); filterChanged(); say("Filters cleared."); byId("parallel-title").focus(); });
byId("more").addEventListener("click", () => { most += PAGE; drawTable(); });
let resized = 0;
window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (members().length) { drawChosen(); drawParallel(); } }, 150); });

startTheme();
drawAll();
if (document.documentElement.dataset.live === "true") {
  byId("live").hidden = false;
  byId("live").textContent = "live";
  poll();
}
