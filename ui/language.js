// Tells the browser which language the page is in, and keeps a choice in it for a year, for all tabs and restarts.

const YEAR_SECONDS = 365 * 24 * 60 * 60;

export default function ({ data }) {
  document.documentElement.lang = data.language;
  if (!data.chosen) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.cookie}=${data.chosen}; Max-Age=${YEAR_SECONDS}; Path=/; SameSite=Lax${secure}`;
}
