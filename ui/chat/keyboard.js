// Hears the chat's keys, puts the focus back into the question, and scrolls to a turn that was searched for.

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
const PATIENCE = { every: 60, times: 20 };

// Outlives every redrawing, so that the focus moves once for each time it was asked for.
let focused = 0;
let stopListening = () => {};

export default function ({ data }) {
  stopListening();
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  stopListening = () => {
    document.removeEventListener("keydown", onKey);
    document.removeEventListener("click", onClick);
  };
  if (data.focus > focused) soon(() => focus(CONTROL.question));
  focused = data.focus;
  if (data.show) soon(() => bringIntoView(`.st-key-${data.show}`));
  return stopListening;
}

// What was clicked goes away, and the focus with it: it goes where the work goes on.
function onClick(event) {
  if (event.target.closest(CONTROL.edit)) soon(() => focus(CONTROL.editor));
  else if (event.target.closest(CONTROL.cancel)) soon(() => focus(CONTROL.question));
}

function onKey(event) {
  const writing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
  const command = event.ctrlKey || event.metaKey;
  const plain = !command && !event.altKey;
  let done = false;
  if (event.key === "/" && plain && !writing) done = focus(CONTROL.question);
  else if (event.key === "Escape" && plain && !event.target.closest?.('[data-testid="stPopoverBody"]')) {
    done = press(event.target.matches?.(CONTROL.editor) ? CONTROL.cancel : CONTROL.stop);
  } else if (event.key.toLowerCase() === "k" && command && !event.shiftKey && !event.altKey) done = search();
  else if (event.code === "KeyA" && event.altKey && !command) done = press(CONTROL.again);
  else if (event.key === "ArrowUp" && plain && event.target.matches?.(CONTROL.question) && !event.target.value) {
    done = press(CONTROL.edit);
  }
  if (done) event.preventDefault();
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

function bringIntoView(selector) {
  const found = document.querySelector(selector);
  if (found) found.style.scrollMarginTop = "5rem";
  found?.scrollIntoView({ block: "start" });
  return Boolean(found);
}

// Tries again until it works: the page may not be drawn to its end yet.
function soon(action) {
  let left = PATIENCE.times;
  const trying = setInterval(() => {
    if (action() || --left === 0) clearInterval(trying);
  }, PATIENCE.every);
}
