// Wires the page: form and address say what is asked, the server answers, sections show it.

import { address, post, Problem, useKey } from "./api.js";
import { curveSection } from "./curve.js";
import { byId, el } from "./dom.js";
import { clearProblem, fillChoices, fillProviders, read, showPoint, showProblem, write } from "./fields.js";
import { headline, listPrices, shares, sources, speed, why } from "./results.js";
import { curlOf, fromAddress, toAddress, toBody } from "./state.js";

const form = byId("form");
const PAUSE = 250;
let state = fromAddress(location.search);
let running = new AbortController();
let timer = 0;

async function start() {
  try {
    await fillChoices();
    await fillProviders(state.accelerator, state.provider);
  } catch (error) {
    fail(error);
  }
  write(form, state);
  await ask();
}

/** Take what the form says; what only the page knows (the curve's axis) stays. */
function take() {
  state = { ...read(form), axis: state.axis };
  useKey(byId("key").value);
}

async function ask() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const body = toBody(state);
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const answer = await post("v1/estimates", body, signal);
    clearProblem(form);
    show(answer, body, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    clearProblem(form);
    fail(error);
  }
  byId("answer").setAttribute("aria-busy", "false");
}

function show(answer, body, signal) {
  const prices = el("div", {}, listPrices(answer, null));
  const curve = curveSection(body, answer, state, { signal, onAxis: chooseAxis });
  byId("results").classList.remove("stale");
  byId("results").replaceChildren(
    headline(answer), shares(answer), why(answer), curve, speed(answer), prices, sources(answer), share(body),
  );
  byId("status").textContent = `Updated: output costs ${answer.output_to_input_ratio.toPrecision(3)} times input.`;
  if (answer.list_prices.length) compare(prices, answer, body, signal);
}

/** The comparison adds columns to the list prices; without it they stand as they are. */
async function compare(place, answer, body, signal) {
  const { uncertainty, ...deployment } = body;
  try {
    place.replaceChildren(listPrices(answer, await post("v1/comparisons", deployment, signal)));
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof Problem)) throw error;
  }
}

function share(body) {
  const curl = curlOf(address("v1/estimates"), body);
  return el(
    "section", { className: "card", id: "share" },
    el("h2", {}, "The same again"),
    el("p", {}, "The address of this page holds everything chosen. Or ask the API:"),
    el("pre", { id: "curl", tabindex: "0" }, curl),
    el("p", { className: "row buttons" }, copyButton("Copy the link", () => location.href), copyButton("Copy the command", () => curl)),
  );
}

function copyButton(words, text) {
  const button = el("button", { type: "button", className: "quiet" }, words);
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard?.writeText(text()).then(() => true, () => false);
    button.textContent = done ? "Copied" : "Copying is not allowed here";
    setTimeout(() => { button.textContent = words; }, 1500);
  });
  return button;
}

function fail(error) {
  if (!(error instanceof Problem)) throw error;
  byId("results").classList.add("stale");
  byId("answer").setAttribute("aria-busy", "false");
  showProblem(error);
}

function chooseAxis(axis) {
  state = { ...state, axis };
  history.replaceState(null, "", toAddress(state));
  ask();
}

function changed(pause) {
  take();
  history.replaceState(null, "", toAddress(state));
  clearTimeout(timer);
  timer = setTimeout(ask, pause);
}

form.addEventListener("input", () => changed(PAUSE));
form.addEventListener("change", async (event) => {
  if (event.target.id === "key") {
    // With another key the lists may be readable, or no longer.
    take();
    await start();
  }
  if (event.target.name === "point") showPoint(form);
  if (event.target.name === "accelerator") {
    await fillProviders(event.target.value, byId("provider").value);
    changed(0);
  }
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  changed(0);
});
matchMedia("(max-width: 40rem)").addEventListener("change", ask);
window.addEventListener("popstate", () => {
  state = fromAddress(location.search);
  write(form, state);
  ask();
});

byId("more").open = ["split", "view"].some((name) => state[name]);
start();
