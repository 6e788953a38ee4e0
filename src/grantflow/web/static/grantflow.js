// Comforts on top of pages that work without them: copy, show password, light and dark, relative times,
// and no second submit of the same form.

const live = () => document.querySelector("[data-live]");
const say = (words) => { const region = live(); if (region) region.textContent = words; };
const each = (selector, visit) => document.querySelectorAll(selector).forEach(visit);

// Light and dark: the system decides until the person does; choosing the system's own side forgets the choice.
const THEME = "grantflow-theme";
const root = document.documentElement;
const remember = (theme) => {
  try { theme ? localStorage.setItem(THEME, theme) : localStorage.removeItem(THEME); } catch { /* storage is off */ }
};
const recall = () => { try { return localStorage.getItem(THEME); } catch { return null; } };
const showTheme = (theme) => { theme ? root.dataset.theme = theme : delete root.dataset.theme; };
const systemTheme = () => matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
const toggleTheme = () => {
  const next = (recall() ?? systemTheme()) === "dark" ? "light" : "dark";
  const chosen = next === systemTheme() ? null : next;
  remember(chosen);
  showTheme(chosen);
  say(next === "dark" ? "Dark colours" : "Light colours");
};

const copy = async (button) => {
  const text = button.dataset.copy || button.closest(".code")?.querySelector("code")?.textContent || "";
  const label = button.querySelector(".copy-label");
  let said = "Copied";
  try { await navigator.clipboard.writeText(text); } catch { said = "Select it to copy"; }
  button.dataset.copied = said === "Copied" ? "yes" : "no";
  label.textContent = said === "Copied" ? "Copied" : "Failed";
  say(said);
  setTimeout(() => { label.textContent = "Copy"; delete button.dataset.copied; }, 2000);
};

const showPassword = (button) => {
  const input = document.getElementById(button.dataset.showPassword);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
  button.firstChild.textContent = shown ? "Show" : "Hide";
};

// The clicked button must stay enabled until the browser has read the form, or its name and value are left out.
const AGAIN_AFTER = 8000; // milliseconds: an answer that is no page (a download, a custom scheme) leaves us here
const submitOnce = (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  setTimeout(() => form.querySelectorAll("button[type=submit]").forEach((button) => { button.disabled = true; }));
  setTimeout(() => reopen(form), AGAIN_AFTER);
};
const reopen = (form) => {
  delete form.dataset.sent;
  form.querySelectorAll("button[type=submit]").forEach((button) => { button.disabled = false; });
};

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
const full = new Intl.DateTimeFormat(root.lang, { dateStyle: "full", timeStyle: "long" });
const relate = (element) => {
  const moment = new Date(element.dateTime);
  if (Number.isNaN(moment.valueOf())) return;
  const seconds = (moment - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  element.title = full.format(moment);
  element.textContent = Math.abs(seconds) < 45 ? "just now" : words.format(Math.round(seconds / size), unit);
};

const closeMenus = (event) => each("details[data-menu][open]", (menu) => {
  if (event.type === "keydown" ? event.key !== "Escape" : menu.contains(event.target)) return;
  menu.open = false;
  if (event.type === "keydown") menu.querySelector("summary").focus();
});

showTheme(recall());
each("[data-copy], [data-show-password], [data-theme-toggle]", (button) => { button.hidden = false; });
each("time[datetime]", relate);
setInterval(() => each("time[datetime]", relate), 60000);

addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (button?.matches("[data-copy]")) copy(button);
  if (button?.matches("[data-show-password]")) showPassword(button);
  if (button?.matches("[data-theme-toggle]")) toggleTheme();
  closeMenus(event);
});
addEventListener("keydown", closeMenus);
addEventListener("submit", submitOnce);
addEventListener("pageshow", () => each("[data-once]", reopen));
