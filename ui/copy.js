// A button that puts a text on the clipboard, and says for a moment that it has.

const SAID_FOR = 2000;

export default function ({ parentElement, data }) {
  const mount = parentElement.querySelector(".mount");
  const icon = node("span", "icon", "", { "aria-hidden": "true" });
  const label = node("span", "", data.copy);
  const button = node("button", "copy", "", { type: "button" });
  // Said to those who do not see it, too: a changed name of a button is not.
  const told = node("span", "told", "", { role: "status" });
  button.append(icon, label);
  mount.replaceChildren(button, told);
  let waiting;
  button.onclick = async () => {
    const said = (await copied(data.text)) ? data.copied : data.failed;
    label.textContent = said;
    told.textContent = said;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      label.textContent = data.copy;
      told.textContent = "";
    }, SAID_FOR);
  };
  return () => clearTimeout(waiting);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text);
  }
}

// Browsers have no clipboard for pages that come over plain HTTP from another machine, but copy what is selected.
function copiedByHand(text) {
  const focused = document.activeElement;
  const field = node("textarea", "", "", { readonly: "", style: "position: fixed; opacity: 0" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return done;
}
