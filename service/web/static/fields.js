// The form: its choices from the catalog, its values, and the server's complaints beside the field they are about.

import { all } from "./api.js";
import { byId, el } from "./dom.js";

/** Fields of the API by the control they belong to; the first prefix that fits decides. */
const CONTROLS = [
  ["model", "model"], ["config", "model"], ["accelerator", "accelerator"], ["layout", "gpus"],
  ["formats", "precision"], ["serving", "engine"], ["workload.classes.0.input_tokens", "input"],
  ["workload.classes.0.output_tokens", "output"], ["workload.classes.0.cached_share", "cached"],
  ["workload", "input"], ["operating_point.concurrency", "concurrency"], ["operating_point.max_ttft_seconds", "ttft"],
  ["operating_point.max_tpot_seconds", "tpot"], ["operating_point.requests_per_second", "rate"],
  ["utilisation", "utilisation"], ["price.currency", "currency"], ["price.provider", "provider"],
  ["price", "amount"], ["split", "split"], ["kv_view", "view"], ["uncertainty", "sure"],
];

export function controlOf(field) {
  const found = CONTROLS.find(([prefix]) => field === prefix || field.startsWith(`${prefix}.`));
  return found ? byId(found[1]) : null;
}

/** Fill the lists of models and accelerators. */
export async function fillChoices() {
  const [models, accelerators] = await Promise.all([all("v1/models"), all("v1/accelerators")]);
  fillSelect(byId("model"), models, (row) => row.organisation || "other");
  fillSelect(byId("accelerator"), accelerators, (row) => row.vendor);
}

function fillSelect(select, rows, groupOf) {
  const groups = new Map();
  for (const row of rows) {
    const name = groupOf(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(el("option", { value: row.id }, row.display_name));
  }
  const sorted = [...groups].sort(([one], [other]) => one.localeCompare(other));
  select.replaceChildren(...sorted.map(([label, options]) => el("optgroup", { label }, options)));
}

const providers = new Map();

/** Fill the providers that have a price of the accelerator; the one chosen stays where it can. */
export async function fillProviders(accelerator, chosen) {
  if (!providers.has(accelerator)) {
    const now = encodeURIComponent(new Date().toISOString());
    const rows = await all(`v1/gpu-prices?accelerator=${encodeURIComponent(accelerator)}&as_of=${now}`).catch(() => []);
    providers.set(accelerator, [...new Set(rows.map((row) => row.provider))].sort());
  }
  const select = byId("provider");
  const names = providers.get(accelerator);
  const options = names.map((name) => el("option", { value: name }, name));
  select.replaceChildren(el("option", { value: "" }, names.length ? "median of the catalog" : "none known"), ...options);
  setSelect(select, chosen);
}

/** Choose a value; one that is not in the list, such as an alias in a link, becomes an entry of its own. */
function setSelect(select, value) {
  const known = [...select.options].some((option) => option.value === (value ?? ""));
  if (!known) select.append(el("option", { value }, value));
  select.value = value ?? "";
}

export function write(form, state) {
  for (const control of form.elements) {
    if (!control.name) continue;
    const value = state[control.name];
    if (control.type === "radio") control.checked = control.value === state.point;
    else if (control.type === "checkbox") control.checked = value === control.value;
    else if (control.tagName === "SELECT") setSelect(control, value);
    else control.value = value ?? "";
  }
  showPoint(form);
}

export function read(form) {
  return Object.fromEntries(new FormData(form));
}

/** Show the inputs of the chosen way to give the load, hide the others. */
export function showPoint(form) {
  const chosen = form.elements.point.value;
  for (const part of form.querySelectorAll("[data-point]")) {
    part.hidden = !part.dataset.point.split(" ").includes(chosen);
  }
}

export function clearProblem(form) {
  byId("problem").hidden = true;
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
  }
  for (const note of form.querySelectorAll(".complaint")) note.remove();
}

/** Show a problem as a whole, and each of its parts at the field that it is about. */
export function showProblem(problem) {
  const box = byId("problem");
  box.replaceChildren(el("b", {}, problem.title), el("p", {}, problem.message));
  const link = problem.name && problem.status ? el("a", { href: `problems/${problem.name}` }, "What this means") : null;
  if (link) box.append(link);
  box.hidden = false;
  if (problem.status === 401 || problem.status === 403) complainAt(byId("key"), problem);
  for (const error of problem.errors) complainAt(controlOf(error.field ?? ""), error);
}

/** Put a message at a control, opening what hides it. */
function complainAt(control, error) {
  if (!control || control.hasAttribute("aria-invalid")) return;
  const holder = control.closest(".pair") ?? control.closest(".field");
  const id = `${control.id}-complaint`;
  const near = error.accepted?.near_matches ?? [];
  const hint = near.length ? ` Near: ${near.join(", ")}.` : "";
  holder.append(el("p", { id, className: "complaint" }, error.message + hint));
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", id);
  const closed = control.closest("details:not([open])");
  if (closed) closed.open = true;
}
