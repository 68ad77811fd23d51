// Mends what Streamlit's sidebar does at the wrong time: it closes too late on a phone, and goes away too late elsewhere.

const LEADS_TO_PAGE = [
  '[data-testid="stSidebarNavLink"]',
  '[data-testid="stPageLink-NavLink"]',
  ".st-key-new-chat button",
  '[class*="st-key-open-"] button',
].join();

const PATIENCE = { every: 500, times: 20 };

let stop = () => {};

export default function ({ data, setTriggerValue }) {
  stop();
  const listening = new AbortController();
  let left = data.wanted ? 0 : PATIENCE.times;
  let blank = 0;
  const watching = setInterval(() => {
    if (left-- <= 0 || !document.querySelector('[data-testid="stSidebar"]')) clearInterval(watching);
    else if ((blank = isBlank() ? blank + 1 : 0) === 2) {
      blank = 0;
      setTriggerValue("blank", true);
    }
  }, PATIENCE.every);
  // On its way down: on its way up, the page's own buttons keep a click to themselves.
  document.addEventListener("click", onClick, { capture: true, signal: listening.signal });
  stop = () => {
    clearInterval(watching);
    listening.abort();
  };
  return stop;

  function onClick(event) {
    // What is asked of the server from now on would be asked of the page that is left.
    if (event.target.closest?.("a")) clearInterval(watching);
    closeDrawer(event);
  }
}

// Streamlit leaves out a sidebar that is empty when a run ends, but may notice only at the end of the next run.
function isBlank() {
  const sidebar = document.querySelector('[data-testid="stSidebar"]');
  return !sidebar.querySelector('[data-testid="stElementContainer"], [data-testid="stSidebarNav"]');
}

// Where the sidebar is a drawer over the page, it closes once something was chosen in it that the page then shows.
function closeDrawer(event) {
  const sidebar = event.target.closest?.('[data-testid="stSidebar"]');
  if (sidebar && event.target.closest(LEADS_TO_PAGE) && isOverPage(sidebar)) {
    setTimeout(() => sidebar.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click());
  }
}

function isOverPage(sidebar) {
  const page = document.getElementById("stMain");
  return page.getBoundingClientRect().left < sidebar.getBoundingClientRect().right;
}
