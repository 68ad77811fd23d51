// Draws the before/after panel from one JSON value. Passages are data: they reach the page through textContent only.

const GLIDE = { duration: 450, easing: "cubic-bezier(0.3, 0.7, 0.2, 1)" };
const SVG = "http://www.w3.org/2000/svg";

// What a person has chosen, by panel: outlives every redrawing of the panel, also one in another place of the page.
const choices = new Map();

export default function ({ data, parentElement }) {
  if (!choices.has(data.key)) choices.set(data.key, { order: "after", all: false, open: new Set() });
  const mount = parentElement.querySelector(".mount");
  const focused = parentElement.activeElement?.id;
  const panel = drawPanel(data, choices.get(data.key));
  mount.replaceChildren(panel);
  if (focused) parentElement.getElementById(focused)?.focus();
  return () => panel.remove();
}

function drawPanel(data, chosen) {
  const panel = node("section", "panel", null, { "aria-label": data.labels.panel });
  panel.classList.toggle("still", !data.reranked);
  panel.append(node("p", "summary", data.summary));
  if (data.note) panel.append(node("p", "note", data.note));
  if (!data.rows.length) return panel;
  const chart = data.reranked ? drawChart(data) : null;
  if (chart) panel.append(chart.figure);
  panel.append(...drawPassages(data, chosen, chart ? chart.highlight : () => {}));
  return panel;
}

function drawPassages(data, chosen, highlight) {
  if (!(chosen.order in data.orders)) chosen.order = "after";
  const rows = data.rows.map((row) => drawRow(row, data.reranked, chosen, highlight));
  const cut = data.kept ? node("li", "cut") : null;
  const list = node("ol", "rows");
  const caption = node("p", "caption", null, { role: "status" });
  const more = node("button", "more", null, { type: "button", id: "more" });

  const arrange = () => {
    const order = data.reranked ? chosen.order : "after";
    const sorted = rows.toSorted((one, other) => one.row[order] - other.row[order]);
    list.replaceChildren(...sorted.map((drawn) => drawn.item));
    if (cut) {
      cut.textContent = data.cuts[order];
      sorted[data.kept - 1].item.after(cut);
    }
    caption.textContent = data.captions[order];
    more.textContent = chosen.all ? data.less : data.more;
    more.setAttribute("aria-expanded", chosen.all);
    number(sorted, order, chosen.all, data.hidden);
  };
  const choose = (choice) => {
    Object.assign(chosen, choice);
    glide(cut ? [...rows.map((drawn) => drawn.item), cut] : rows.map((drawn) => drawn.item), arrange);
  };

  arrange();
  more.addEventListener("click", () => choose({ all: !chosen.all }));
  const toolbar = node("div", "toolbar");
  if (data.reranked) toolbar.append(drawToggle(data, chosen.order, (order) => choose({ order })));
  toolbar.append(caption);
  return data.rows.every((row) => row.preview) ? [toolbar, list] : [toolbar, list, more];
}

// Writes the ranks of one order and says how many passages are left unseen between two rows.
function number(sorted, order, all, hidden) {
  let above = 0;
  for (const { item, row, rank } of sorted) {
    rank.textContent = row[order];
    item.hidden = !all && !row.preview;
    if (item.hidden) continue;
    item.dataset.gap = row[order] > above + 1 ? hidden.replace("{number}", row[order] - above - 1) : "";
    above = row[order];
  }
}

function drawToggle({ orders, labels }, order, choose) {
  const group = node("div", "toggle", null, { role: "radiogroup", "aria-label": labels.orders });
  for (const [value, text] of Object.entries(orders)) {
    const label = node("label");
    const radio = node("input", "", null, { type: "radio", name: "order", id: `order-${value}`, value });
    radio.checked = value === order;
    radio.addEventListener("change", () => choose(value));
    label.append(radio, node("span", "", text));
    group.append(label);
  }
  return group;
}

function drawRow(row, reranked, chosen, highlight) {
  const item = node("li", `row ${row.kept ? "kept" : "dropped"} ${row.change}`);
  const rank = node("span", "rank");
  const rail = node("div", "rail");
  rail.append(rank);
  if (reranked) rail.append(drawMovement(row.moved), node("span", "path", row.moved.path, { "aria-hidden": "true" }));

  const title = drawTitle(row);
  const body = node("div", "body");
  body.append(drawHead(row, title), node("p", "passage", row.text, { id: `text-${row.id}` }), drawScores(row.scores));
  const show = (open) => {
    title.setAttribute("aria-expanded", open);
    item.classList.toggle("open", open);
    if (open) body.append(drawDetails(row.scores));
    else body.querySelector(".details")?.remove();
  };
  title.addEventListener("click", () => {
    const open = !chosen.open.has(row.id);
    chosen.open[open ? "add" : "delete"](row.id);
    show(open);
  });
  show(chosen.open.has(row.id));

  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => highlight(row, true));
  for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => highlight(row, false));
  item.append(rail, body);
  return { item, row, rank };
}

function drawTitle(row) {
  const names = { id: `open-${row.id}`, "aria-controls": `text-${row.id}` };
  const title = node("button", "title", null, { type: "button", ...names });
  title.append(node("span", "document", row.document));
  if (row.page) title.append(node("span", "page", ` · ${row.page}`));
  return title;
}

function drawHead(row, title) {
  const place = node("div", "place");
  place.append(title);
  if (row.heading) place.append(node("p", "heading", row.heading));
  const tags = node("div", "tags");
  tags.append(...row.tags.map((tag) => node("span", `tag ${tag.kind}`, tag.text)));
  const head = node("div", "head");
  head.append(place, tags);
  return head;
}

function drawMovement(moved) {
  const spoken = { role: "img", "aria-label": moved.spoken, title: moved.spoken };
  return node("span", `badge ${moved.way}`, moved.badge, spoken);
}

function drawScores(scores) {
  const line = node("div", "scores");
  for (const score of scores.filter((one) => !one.onlyWhenOpen)) {
    const item = node("span", "score", null, { title: score.help });
    item.append(node("span", "", `${score.label} `), node("b", "", score.value));
    if (score.note) item.append(node("span", "", ` ${score.note}`));
    if (score.share !== null) {
      const meter = item.appendChild(node("span", "meter", null, { "aria-hidden": "true" }));
      meter.style.setProperty("--share", score.share);
    }
    line.append(item);
  }
  return line;
}

function drawDetails(scores) {
  const details = node("dl", "details");
  for (const score of scores) {
    const meaning = node("dd");
    meaning.append(node("b", "", score.value), node("span", "", ` ${score.note} · ${score.help}`));
    details.append(node("dt", "", score.label), meaning);
  }
  return details;
}

// One line per passage from its rank before (top), by way of the shortlist where there is one, to its rank after
// (bottom), in a box of 100 by 100 units that is stretched to the panel's width.
function drawChart(data) {
  const plot = document.createElementNS(SVG, "svg");
  plot.setAttribute("viewBox", "0 0 100 100");
  plot.setAttribute("preserveAspectRatio", "none");
  const across = (rank) => ((rank - 0.5) / data.rows.length) * 100;
  const kind = (row) => row.change || (row.kept ? "kept" : "dropped");
  const lines = new Map();
  for (const drawn of ["dropped", "kept", "left", "entered"]) {
    for (const row of data.rows.filter((one) => kind(one) === drawn)) {
      const line = document.createElementNS(SVG, "path");
      const [from, by, to] = [across(row.before), across(row.shortlist), across(row.after)];
      const way = "shortlist" in data.orders ? `${from} 30 ${by} 26 ${by} 50 C${by} 74 ` : `${from} 55 `;
      line.setAttribute("d", `M${from} 8 C${way}${to} ${"shortlist" in data.orders ? 70 : 45} ${to} 92`);
      line.setAttribute("class", drawn);
      lines.set(row.id, plot.appendChild(line));
    }
  }
  const area = node("div", "area");
  area.style.setProperty("--kept", data.kept / data.rows.length);
  area.append(node("div", "zone"), plot);
  const legend = node("span", "legend");
  const present = Object.entries(data.legend).filter(([key]) => data.rows.some((row) => kind(row) === key));
  legend.append(...present.map(([key, text]) => node("span", `key ${key}`, text)));
  const figure = node("div", "chart", null, { role: "img", "aria-label": data.chart });
  figure.append(node("span", "", data.scale), area, node("span", "", data.orders.after), legend);
  return { figure, highlight: (row, on) => lines.get(row.id).classList.toggle("lit", on) };
}

// Runs a change of layout and lets every item travel from where it was seen to where it now is.
function glide(items, change) {
  const places = () =>
    new Map(items.filter((item) => item.offsetParent).map((item) => [item, item.getBoundingClientRect().top]));
  const seen = places();
  for (const item of items) for (const running of item.getAnimations()) running.cancel();
  change();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const [item, top] of places()) {
    const distance = seen.get(item) - top;
    if (distance) item.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], GLIDE);
    if (!seen.has(item)) item.animate([{ opacity: 0 }, { opacity: 1 }], GLIDE);
  }
}
