// Hears the chat's keys, puts the focus back into the question, and scrolls to a turn.

const CONTROL = {
  question: '[data-testid="stChatInput"] textarea',
  search: ".st-key-conversation-search input",
  sidebar: '[data-testid="stExpandSidebarButton"]',
  stop: '[class*="st-key-turn-"][class*="-stop"] button',
  editor: '[class*="st-key-turn-"][class*="-edited"] textarea',
  cancel: '[class*="st-key-turn-"][class*="-cancel"] button',
  edit: '[class*="st-key-turn-"][class*="-edit"] button',
  again: '[class*="st-key-turn-"][class*="-answer-again"] button',
};
// What Escape closes or clears by itself: it stops no answer there.
const HAS_ESCAPE = 'input, textarea, select, [role="dialog"], [data-testid="stPopoverBody"]';

const PATIENCE = { every: 60, times: 20 };

const MARGIN = 108; // pixels, above a question that was scrolled to

// Outlive every redrawing, so that the focus moves, and the page scrolls, once for each time that was asked for.
let focused = 0;
let shown = 0;
let stop = () => {};

export default function ({ data }) {
  stop();
  // One for each call: the clean-up of a call may come after the next call has begun to listen.
  const listening = new AbortController();
  document.addEventListener("keydown", onKey, { signal: listening.signal });
  document.addEventListener("click", onClick, { signal: listening.signal });
  stop = () => listening.abort();
  if (data.focus > focused) soon(() => focus(CONTROL.question));
  focused = data.focus;
  if (data.shown > shown) scrollTo(data.turn);
  shown = data.shown;
  return stop;
}

// What was clicked goes away, and the focus with it: it goes where the work goes on.
function onClick(event) {
  if (event.target.closest(CONTROL.edit)) soon(() => focus(CONTROL.editor));
  else if (event.target.closest(CONTROL.cancel)) soon(() => focus(CONTROL.question));
}

function onKey(event) {
  if (event.isComposing) return; // its keys choose among words, as in Chinese
  const writing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
  const command = event.ctrlKey || event.metaKey;
  const plain = !command && !event.altKey;
  let done = false;
  if (event.key === "/" && plain && !writing) done = focus(CONTROL.question);
  else if (event.key === "Escape" && plain) done = onEscape(event.target);
  else if (event.key.toLowerCase() === "k" && command && !event.shiftKey && !event.altKey) done = search();
  else if (event.code === "KeyA" && event.altKey && !command) done = press(CONTROL.again);
  else if (event.key === "ArrowUp" && plain && event.target.matches?.(CONTROL.question) && !event.target.value) {
    done = press(CONTROL.edit);
  }
  if (done) event.preventDefault();
}

function onEscape(from) {
  if (from.matches?.(CONTROL.editor)) return press(CONTROL.cancel);
  const elsewhere = !from.matches?.(CONTROL.question) && from.closest?.(HAS_ESCAPE);
  return !elsewhere && press(CONTROL.stop);
}

function search() {
  if (focus(CONTROL.search)) return true;
  if (!press(CONTROL.sidebar)) return false;
  soon(() => focus(CONTROL.search));
  return true;
}

// Presses the last of the controls, which belongs to the last turn.
function press(selector) {
  const control = [...document.querySelectorAll(selector)].at(-1);
  control?.click();
  return Boolean(control);
}

function focus(selector) {
  const control = document.querySelector(selector);
  if (!control?.checkVisibility({ visibilityProperty: true })) return false;
  control.focus({ preventScroll: true });
  return document.activeElement === control;
}

// Scrolls to a question once what follows it leaves room for that; whoever scrolls meanwhile is left alone.
function scrollTo(turn) {
  let left = false;
  const leave = () => (left = true);
  for (const sign of ["wheel", "touchstart", "pointerdown"]) {
    document.addEventListener(sign, leave, { once: true, capture: true, passive: true });
  }
  soon(() => {
    const question = document.querySelector(`.st-key-${turn}-question`);
    const room = document.querySelector(`.st-key-${turn}-room, .st-key-${turn}-body`);
    if (left || !question || !room) return left;
    question.style.scrollMarginTop = `${MARGIN}px`;
    question.scrollIntoView({ block: "start" });
    return Math.round(question.getBoundingClientRect().top) <= MARGIN;
  });
}

// Tries again until it works: the page may not be drawn to its end yet.
function soon(action) {
  let left = PATIENCE.times;
  const trying = setInterval(() => {
    if (action() || --left === 0) clearInterval(trying);
  }, PATIENCE.every);
}
