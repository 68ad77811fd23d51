// Presents scenes from one JSON value. A step asks nothing of the server: it changes what is drawn here and the address.
// Passages, answers and questions are data: they reach the page through textContent only.

const GLIDE = { duration: 1100, easing: "cubic-bezier(0.3, 0.7, 0.2, 1)" };
const RERANKED = ["reranked", "right"];
const LISTED = ["found", ...RERANKED];
const BACK_ZONE = 0.25;
const BRIEF = 220;
const KEYS = {
  ArrowRight: (show) => show.step(1),
  PageDown: (show) => show.step(1),
  " ": (show) => show.step(1),
  ArrowLeft: (show) => show.step(-1),
  PageUp: (show) => show.step(-1),
  Home: (show) => show.go(show.scene, 0),
  Escape: (show) => (show.menu.open ? show.menu.close() : show.leave()),
  f: () => toggleFullScreen(),
  n: (show) => show.toggleNotes(),
  s: (show) => show.openMenu(),
};

export default function ({ data, parentElement, setTriggerValue }) {
  const show = present(data, () => setTriggerValue("leave", true));
  parentElement.querySelector(".mount").replaceChildren(show.root);
  const press = (event) => onKey(event, show);
  const travel = () => new URLSearchParams(location.search).has("scene") || show.leave();
  document.addEventListener("keydown", press, true);
  window.addEventListener("popstate", travel);
  show.start();
  return () => {
    document.removeEventListener("keydown", press, true);
    window.removeEventListener("popstate", travel);
    show.root.remove();
  };
}

function onKey(event, show) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.composedPath()[0];
  if (at.matches?.("input, textarea, select")) return;
  // A button that has the focus is pressed by the space bar, as everywhere.
  if (event.key === " " && at.matches?.("button")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (show.menu.open && key !== "Escape" && !/^[1-9]$/.test(key)) return;
  const act = /^[1-9]$/.test(key) ? () => show.go(Number(key) - 1, 0) : KEYS[key];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act(show);
}

function present(data, leave) {
  const { texts } = data;
  const root = node("section", "presenter", null, { "aria-label": texts.presenter });
  const asked = node("p", "asked");
  const main = node("div", "main");
  const notes = node("p", "notes", null, { hidden: "" });
  const status = node("p", "status", null, { role: "status" });
  const dots = node("span", "dots", null, { "aria-hidden": "true" });
  const count = node("span", "count");
  const back = button(texts.back, () => show.step(-1), "back", "‹");
  const next = button(texts.next, () => show.step(1), "next", "›");
  const noted = button(texts.notes, () => show.toggleNotes());
  noted.setAttribute("aria-expanded", "false");
  const footer = node("div", "footer");
  const tools = node("span", "tools");
  tools.append(
    button(texts.scenes, () => show.openMenu()),
    noted,
    button(texts.full, toggleFullScreen),
    button(texts.leave, leave),
  );
  footer.append(back, dots, count, next, tools);
  const menu = drawMenu(data, (scene) => show.go(scene, 0));
  root.append(asked, main, notes, footer, status, menu);

  const show = { root, menu, leave, scene: 0, at: 0, drawn: null };
  const steps = () => data.scenes[show.scene].steps;

  show.go = (scene, at) => {
    if (!(scene in data.scenes)) return;
    if (menu.open) menu.close();
    const fresh = scene !== show.scene || !show.drawn;
    show.scene = scene;
    show.at = Math.min(Math.max(at, 0), steps().length - 1);
    const from = fresh ? "" : show.drawn.name;
    if (fresh) {
      show.drawn = drawScene(data.scenes[scene]);
      main.replaceChildren(...show.drawn.parts);
      asked.textContent = data.scenes[scene].question;
      notes.textContent = data.scenes[scene].notes;
      dots.replaceChildren(...steps().map(() => node("i")));
    }
    const { name, count: counted, title, caption } = steps()[show.at];
    show.drawn.turnTo(name, from);
    root.dataset.step = name;
    main.scrollTop = 0;
    count.textContent = counted;
    [...dots.children].forEach((dot, place) => dot.classList.toggle("past", place <= show.at));
    back.disabled = show.at === 0;
    next.disabled = show.at === steps().length - 1;
    status.textContent = [counted, title, caption, show.drawn.spoken(name)].filter(Boolean).join(". ");
    writeAddress(data.scenes[scene].id, show.at + 1);
  };
  show.step = (by) => show.go(show.scene, show.at + by);
  show.toggleNotes = () => {
    notes.hidden = !notes.hidden;
    noted.setAttribute("aria-expanded", String(!notes.hidden));
  };
  show.openMenu = () => menu.showModal();
  show.start = () => {
    const scene = data.scenes.findIndex((one) => one.id === data.scene);
    if (scene >= 0) show.go(scene, data.step - 1);
    else menu.showModal();
  };
  menu.addEventListener("close", () => show.drawn || leave());
  main.addEventListener("click", (event) => {
    if (String(getSelection())) return;
    show.step(event.clientX < innerWidth * BACK_ZONE ? -1 : 1);
  });
  return show;
}

function writeAddress(scene, step) {
  const address = new URL(location.href);
  address.searchParams.set("scene", scene);
  address.searchParams.set("step", step);
  history.replaceState(history.state, "", address);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

function drawMenu(data, choose) {
  const menu = node("dialog", "menu", null, { "aria-label": data.texts.scenes });
  const scenes = node("ol", "scenes");
  for (const [number, scene] of data.scenes.entries()) {
    const entry = node("button", "entry", null, { type: "button" });
    const head = node("span", "head");
    head.append(node("b", "", scene.headline));
    if (scene.word) head.append(node("span", `word ${scene.effect.replace(" ", "-")}`, scene.word));
    entry.append(node("span", "number", String(number + 1), { "aria-hidden": "true" }), head);
    entry.append(node("span", "asking", scene.question));
    entry.addEventListener("click", () => choose(number));
    const item = node("li");
    item.append(entry);
    scenes.append(item);
  }
  const keys = node("dl", "keys");
  for (const [key, meaning] of data.texts.keys) {
    const pair = node("div");
    pair.append(node("dt", "", key), node("dd", "", meaning));
    keys.append(pair);
  }
  if (data.missing) menu.append(node("p", "missing", data.missing, { role: "alert" }));
  menu.append(node("h2", "", data.texts.scenes), scenes, keys, button(data.texts.close, () => menu.close()));
  return menu;
}

// Returns the parts of a scene, and how to turn to one of its steps.
function drawScene(scene) {
  const question = node("div", "part question");
  question.append(node("p", "eyebrow", scene.headline), node("h1", "", scene.question), node("p", "caption"));
  const list = drawList(scene);
  const answers = drawAnswers(scene);
  const verdict = drawVerdict(scene);
  const parts = { question, answers, verdict };
  const drawn = { parts: [question, list.part, answers, verdict], name: "" };

  drawn.turnTo = (name, from) => {
    const { title, caption } = scene.steps.find((step) => step.name === name);
    drawn.name = name;
    for (const [part, element] of Object.entries(parts)) element.hidden = part !== name;
    list.part.hidden = !LISTED.includes(name);
    if (!list.part.hidden) list.turnTo(name, LISTED.includes(from) ? from : "");
    const part = parts[name] ?? list.part;
    if (part !== question) part.querySelector("h2").textContent = title;
    part.querySelector(".caption").textContent = caption;
  };
  drawn.spoken = (name) => (name === "verdict" ? `${scene.word}. ${scene.verdict.ranks}. ${scene.verdict.sentence}` : "");
  return drawn;
}

function drawList(scene) {
  const part = node("div", "part listed");
  const rows = scene.rows.map((row) => drawRow(row));
  const cut = node("li", "cut", scene.cut);
  const list = node("ol", "rows");
  const card = drawCard(scene.passage);
  const body = node("div", "columns");
  body.append(list, card);
  part.append(node("h2"), node("p", "caption"), body);

  const arrange = (order) => {
    const sorted = rows.toSorted((one, other) => one.row[order] - other.row[order]);
    list.replaceChildren(...sorted.map((drawn) => drawn.item));
    sorted.filter((drawn) => drawn.row[order] <= scene.kept).at(-1)?.item.after(cut);
    let above = 0;
    for (const { item, row, rank } of sorted) {
      rank.textContent = row[order];
      item.classList.toggle("read", row[order] <= scene.kept);
      item.classList.toggle("gap", row[order] > above + 1);
      above = row[order];
    }
  };
  const turnTo = (name, from) => {
    const order = RERANKED.includes(name) ? "after" : "before";
    const change = () => {
      part.dataset.shown = name;
      card.hidden = name !== "right" || !scene.passage;
      arrange(order);
    };
    const moves = from && RERANKED.includes(from) !== RERANKED.includes(name);
    if (moves) glide([...rows.map((drawn) => drawn.item), cut], change);
    else change();
  };
  return { part, turnTo };
}

function drawRow(row) {
  const item = node("li", `row ${row.change}${row.lit ? " lit" : ""}`);
  const rank = node("span", "rank");
  item.append(rank, node("span", "document", row.document), node("span", "snippet", row.text));
  item.append(node("span", "move", row.move));
  return { item, row, rank };
}

function drawCard(passage) {
  const card = node("div", "card", null, { tabindex: "0" });
  if (!passage) return card;
  card.append(node("p", "document", passage.document));
  if (passage.heading) card.append(node("p", "heading", passage.heading));
  card.append(node("p", "text", passage.text));
  return card;
}

function drawAnswers(scene) {
  const part = node("div", "part answered");
  const columns = node("div", "columns");
  for (const answer of scene.answers) {
    const length = answer.paragraphs.reduce((sum, paragraph) => sum + paragraph.text.length, 0);
    const column = node("div", length < BRIEF ? "answer brief" : "answer");
    column.append(node("h3", "", answer.title));
    for (const paragraph of answer.paragraphs) {
      column.append(node("p", paragraph.right ? "right" : "", paragraph.text));
    }
    columns.append(column);
  }
  part.append(node("h2"), node("p", "caption"));
  const marked = scene.answers.some((answer) => answer.paragraphs.some((paragraph) => paragraph.right));
  if (marked) part.append(node("p", "legend", scene.source));
  part.append(columns);
  return part;
}

function drawVerdict(scene) {
  const { ranks, sentence, summary, costs, recorded } = scene.verdict;
  const part = node("div", "part verdict");
  part.append(node("h2"), node("p", "caption"));
  if (scene.word) {
    const outcome = node("div", `outcome ${scene.effect.replace(" ", "-")}`);
    outcome.append(node("p", "", scene.word), node("p", "ranks", ranks));
    part.append(outcome, node("p", "sentence", sentence));
  }
  part.append(node("p", scene.word ? "summary" : "sentence", summary));
  const list = node("dl", "costs");
  for (const [what, time] of costs) {
    const pair = node("div");
    pair.append(node("dt", "", what), node("dd", "", time));
    list.append(pair);
  }
  part.append(list, node("p", "recorded", recorded));
  return part;
}

// Runs a change of layout and lets every item travel from where it was seen to where it now is.
function glide(items, change) {
  const places = () => new Map(items.map((item) => [item, item.getBoundingClientRect().top]));
  for (const item of items) for (const running of item.getAnimations()) running.cancel();
  const seen = places();
  change();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const [item, top] of places()) {
    const distance = seen.get(item) - top;
    if (distance) item.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], GLIDE);
  }
}

function button(text, act, className = "", sign = "") {
  const made = node("button", className, null, { type: "button" });
  if (sign) made.append(node("span", "sign", sign, { "aria-hidden": "true" }));
  made.append(node("span", "", text));
  made.addEventListener("click", (event) => {
    act();
    // After a click the space bar is for the next step again.
    if (event.detail) made.blur();
  });
  return made;
}
