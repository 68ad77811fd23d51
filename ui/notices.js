// Keeps in the browser, until it is closed, that a notice was dismissed.

export default function ({ data }) {
  if (!data.dismissed) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.cookie}=${encodeURIComponent(data.dismissed)}; Path=/; SameSite=Lax${secure}`;
}
