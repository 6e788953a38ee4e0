// Comforts of the developer portal: redirect URIs told apart while they are typed, scopes narrowed by a search,
// and nobody leaves a secret behind that they have not stored.

const redirectUris = document.querySelector("[data-redirect-uris]");
if (redirectUris) {
  const typed = document.getElementById(redirectUris.dataset.redirectUris);
  // The same split as the platform's: at line ends, and at a comma that is followed by a scheme.
  const split = (text) => text.split(/\r?\n|,\s*(?=[A-Za-z][A-Za-z0-9+.-]*:)/).map((uri) => uri.trim()).filter(Boolean);
  const loopback = ["127.0.0.1", "[::1]", "localhost"];
  const wrong = (uri) => {
    if (uri.includes("#")) return "no fragment";
    if (/\s/.test(uri)) return "no spaces";
    const bare = /^(localhost:|[a-z0-9.-]+:[0-9]+(?=[/?]|$))/i.test(uri); // the scheme was left out
    if (bare) return `needs ${/^(localhost|127\.0\.0\.1):/i.test(uri) ? "http" : "https"}:// before it`;
    let url;
    try { url = new URL(uri); } catch { return "not absolute"; }
    if (/^(javascript|data|vbscript|file|blob|about|mailto|tel|sms|ftp|ws|wss):$/.test(url.protocol)) return "never this scheme";
    return url.protocol === "http:" && !loopback.includes(url.hostname) ? "needs https" : "";
  };
  const chip = (uri) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    const problem = wrong(uri);
    text.className = `chip ${problem ? "chip-bad" : "chip-good"}`;
    text.textContent = problem ? `${uri}: ${problem}` : uri;
    item.append(text);
    return item;
  };
  const show = () => redirectUris.replaceChildren(...split(typed.value).map(chip));
  typed.addEventListener("input", show);
  show();
}

const search = document.querySelector("[data-scope-search]");
if (search) {
  search.hidden = false;
  search.addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    document.querySelectorAll("[data-scopes] .choice").forEach((choice) => {
      choice.hidden = !choice.textContent.toLowerCase().includes(wanted);
    });
  });
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

const file = document.getElementById("field-icon_file");
if (file) {
  file.addEventListener("change", () => {
    const choice = document.querySelector("input[name=icon]:checked");
    if (file.files.length && choice) choice.checked = false;
  });
  // Whoever chooses one of the others after all does not mean the file any more.
  document.querySelectorAll("input[name=icon]").forEach((choice) => {
    choice.addEventListener("change", () => { file.value = ""; });
  });
}

const stored = document.querySelector("[data-keep] input[name=stored]");
if (stored) {
  addEventListener("beforeunload", (event) => { if (!stored.checked) event.preventDefault(); });
}
