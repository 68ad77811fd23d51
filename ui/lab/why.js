// Draws a passage with what a reranker saw in it, from one JSON value. Texts reach the page through textContent only.

const SHOWN_MATCHES = 8;

// The view that a person chose last, for every passage: words or sentences.
let chosen = "";

export default function ({ data, parentElement }) {
  const mount = parentElement.querySelector(".mount");
  const why = drawWhy(data);
  mount.replaceChildren(why);
  return () => why.remove();
}

function drawWhy(data) {
  const { labels } = data;
  const why = node("section", "why", null, { "aria-label": labels.passage });
  for (const [name, colour] of Object.entries({ heat: data.colours.entered, cost: data.colours.left })) {
    why.style.setProperty(`--${name}`, colour);
  }
  const question = drawQuestion(data);
  const passage = drawPassage(data);
  const said = node("p", "said", null, { role: "status" });
  const legend = node("div", "legend");
  const table = node("details", "table");
  const removal = node("p", "removal", data.removal);
  const cautions = data.cautions.map((text) => node("p", "note", text));
  const views = data.sentences.length ? ["sentences", "words"] : ["words"];

  const rest = (view) => {
    said.textContent = view === "words" ? labels.point : labels.pointSentence;
    for (const [number, spans] of passage.words.entries()) {
      const [, strength, content] = data.words[number];
      for (const span of spans) shade(span, content ? level(strength, data.scale) : 0);
      for (const span of spans) span.classList.remove("best");
    }
  };
  const show = (view) => {
    why.dataset.view = view;
    removal.hidden = view === "words" && data.sentences.length > 0;
    for (const caution of cautions) caution.hidden = view !== "words";
    legend.replaceChildren(...drawLegend(data, view));
    table.replaceChildren(...(view === "words" ? drawMatches(data) : drawSentences(data)));
    rest(view);
  };

  for (const [number, spans] of question.words.entries()) {
    const point = () => {
      for (const [other, found] of passage.words.entries()) {
        const near = level(data.similarities[number][other] / 100, data.scale);
        for (const span of found) {
          shade(span, near);
          span.classList.toggle("best", other === data.best[number]);
          span.classList.toggle("weak", !near);
        }
      }
      said.textContent = describeMatch(data, number);
    };
    for (const span of spans) listen(span, point, () => rest("words"));
  }
  for (const [number, span] of passage.sentences.entries()) {
    const { note: worth } = data.sentences[number];
    listen(span, () => (said.textContent = worth), () => (said.textContent = labels.pointSentence));
  }
  moveWithArrows(question.words.flat());
  moveWithArrows(passage.sentences);

  if (data.reasons.length) why.append(drawReasons(data));
  if (views.length > 1) {
    const first = views.includes(chosen) ? chosen : views[0];
    why.append(drawToggle(data, views, first, (view) => show((chosen = view))));
    show(first);
  } else {
    show("words");
  }
  if (data.removal) why.append(removal);
  why.append(question.text, ...(passage.heading ? [passage.heading] : []), passage.text, said, legend);
  why.append(...cautions, table, ...data.notes.map((text) => node("p", "note", text)));
  return why;
}

function drawReasons({ reasons, labels }) {
  const list = node("ul", "reasons", null, { "aria-label": labels.reasons });
  for (const reason of reasons) {
    const item = node("li", "reason");
    item.append(node("span", `chip ${reason.kind}`, reason.chip), node("span", "text", reason.text));
    list.append(item);
  }
  return list;
}

function drawToggle({ labels }, views, first, choose) {
  const group = node("div", "toggle", null, { role: "radiogroup", "aria-label": labels.shade });
  for (const view of views) {
    const label = node("label");
    const radio = node("input", "", null, { type: "radio", name: "view", value: view });
    radio.checked = view === first;
    radio.addEventListener("change", () => choose(view));
    label.append(radio, node("span", "", labels[view]));
    group.append(label);
  }
  return group;
}

function drawQuestion(data) {
  const words = data.asked.map(() => []);
  const text = node("p", "question", null, { role: "group", "aria-label": data.labels.question });
  for (const [piece, word, , read] of data.question) {
    if (word < 0) {
      text.append(drawUnread(piece, read));
      continue;
    }
    const [, strength, content] = data.asked[word];
    const span = node("button", content ? "word" : "word function", piece, { type: "button" });
    span.setAttribute("aria-label", `${piece}: ${describeMatch(data, word)}`);
    shade(span, content ? level(strength, data.scale) : 0);
    words[word].push(span);
    text.append(span);
  }
  return { text, words };
}

function drawPassage(data) {
  const words = data.words.map(() => []);
  const sentences = [];
  const draw = (pieces, into) => {
    let sentence = null;
    for (const [piece, word, number, read] of pieces) {
      if (number >= 0 && !sentences[number]) {
        sentence = sentences[number] = drawSentence(data, number);
        into.append(sentence);
      } else if (number < 0) sentence = null;
      const span = word < 0 ? drawUnread(piece, read) : node("span", "word", piece);
      if (word >= 0) words[word].push(span);
      (sentence ?? into).append(span);
    }
    return into;
  };
  const heading = data.heading.length ? draw(data.heading, node("p", "heading")) : null;
  return { heading, text: draw(data.passage, node("p", "passage")), words, sentences };
}

function drawSentence({ sentences, labels }, number) {
  const { worst, share, note } = sentences[number];
  const span = node("span", worst ? "sentence worst" : "sentence", null, { tabindex: "-1" });
  span.title = worst ? `${note} · ${labels.worst}` : note;
  span.style.setProperty("--share", Math.min(share, 1));
  return span;
}

function drawUnread(text, read) {
  return read ? document.createTextNode(text) : node("s", "unread", text);
}

function drawLegend({ labels, scale, question, passage }, view) {
  const ends = view === "words" ? scale : [0, 1];
  const bar = node("span", "bar", null, { "aria-hidden": "true" });
  const name = view === "words" ? labels.similarity : labels.loss;
  const written = view === "words" ? ends.map((end) => end.toFixed(1)) : ["0 %", "100 %"];
  const line = node("span", "scale");
  line.append(node("span", "", `${name} ${written[0]}`), bar, node("span", "", written[1]));
  const cut = [...question, ...passage].some(([, , , read]) => !read);
  return cut && view === "words" ? [line, node("span", "", labels.unread)] : [line];
}

function drawMatches({ labels, asked, words, best, similarities, reading }) {
  const rows = asked
    .map(([text, , content], number) => ({ text, content, number, found: best[number] }))
    .filter((row) => row.content && row.found !== null)
    .map((row) => ({ ...row, similarity: similarities[row.number][row.found] / 100 }))
    .toSorted((one, other) => other.similarity - one.similarity)
    .slice(0, SHOWN_MATCHES)
    .map((row) => [row.text, words[row.found][0], row.similarity.toFixed(2)]);
  const table = drawTable(labels.strongest, [labels.asked, labels.matched, labels.similarity], rows);
  return [...table, ...reading.map((text) => node("p", "note", text))];
}

function drawSentences({ labels, sentences, passage }) {
  const ranked = sentences.some((one) => one.rank);
  const texts = sentences.map((_, number) => passage.filter((piece) => piece[2] === number).map(([text]) => text).join(""));
  const rows = sentences.map((one, number) => [
    texts[number],
    one.relevance,
    one.change,
    ...(ranked ? [one.rank] : []),
  ]);
  const heads = [labels.sentence, labels.relevance, labels.change, ...(ranked ? [labels.rank] : [])];
  return drawTable(labels.allSentences, heads, rows);
}

function drawTable(summary, heads, rows) {
  const table = node("table");
  const head = table.createTHead().insertRow();
  head.append(...heads.map((text) => node("th", "", text, { scope: "col" })));
  const body = table.createTBody();
  for (const row of rows) body.insertRow().append(...row.map((text) => node("td", "", text)));
  return [node("summary", "", summary), table];
}

// The words that a word of the question matches best, the match first.
function describeMatch({ asked, words, best, similarities, scale, labels }, number) {
  const [text] = asked[number];
  const match = best[number];
  if (match === null) return `${text} → ${labels.none}`;
  const row = similarities[number];
  const others = [...row.keys()]
    .filter((other) => words[other][2] && row[other] / 100 > scale[0])
    .toSorted((one, other) => row[other] - row[one]);
  const named = new Map([...others.toReversed(), match].map((other) => [words[other][0].toLowerCase(), other]));
  const told = [...named.values()]
    .toSorted((one, other) => (other === match) - (one === match) || row[other] - row[one])
   .slice(0, 3).map((other) => `${words[other][0]} ${(row[other] / 100).toFixed(2)}`);
  return `${text} → ${told.join(" · ")}`;
}

// One stop of the Tab key for a row of things; the arrow keys go from one to the next.
function moveWithArrows(spans) {
  for (const [place, span] of spans.entries()) {
    span.tabIndex = place ? -1 : 0;
    span.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const next = step && spans[place + step];
      if (!next) return;
      event.preventDefault();
      span.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }
}

function listen(span, enter, leave) {
  for (const event of ["pointerenter", "focus"]) span.addEventListener(event, enter);
  for (const event of ["pointerleave", "blur"]) span.addEventListener(event, leave);
}

function level(similarity, [faintest, strongest]) {
  return Math.min(Math.max((similarity - faintest) / (strongest - faintest), 0), 1);
}

function shade(span, amount) {
  span.style.setProperty("--level", amount);
}
