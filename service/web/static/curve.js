// How the rates move along one axis, from POST /v1/curves.

import { post } from "./api.js";
import { lineChart } from "./charts.js";
import { el } from "./dom.js";

const POINTS = 120;
const AXES = {
  batch: { title: "sequences decoding together", log: true, now: (answer) => answer.operating_point.batch },
  context: { title: "input tokens", log: true, now: (_, state) => Number(state.input) },
  input_to_output_ratio: { title: "input tokens for each output token", log: true, now: (_, state) => Number(state.input) / Number(state.output) },
  cached_share: { title: "share of the input found in the cache", log: false, now: (_, state) => Number(state.cached) / 100 },
  position: { title: "position in one request, input tokens first", log: false, now: () => undefined },
  utilisation: { title: "utilisation", log: false, now: (answer) => answer.operating_point.utilisation },
};

const KINDS = [["uncached_input", "input"], ["cached_input", "cached input"], ["output", "output"]];
/** Over the positions of one request there is one token at a time: its cost, and that without attention. */
const PARTS = [["linear", "without attention"], ["cost", "cost"]];
const linesOf = (axis) => (axis === "position" ? PARTS : KINDS);

/** The section with the curve; `onAxis` hears of another choice. Fills itself once the server has answered. */
export function curveSection(body, answer, state, { signal, onAxis }) {
  const axis = state.axis in AXES ? state.axis : "batch";
  const select = el("select", { id: "axis" }, Object.entries(AXES).map(([name, { title }]) =>
    el("option", { value: name, selected: name === axis }, title),
  ));
  select.addEventListener("change", () => onAxis(select.value));
  const place = el("div", { className: "plot", "aria-busy": "true" }, el("p", { className: "hint waiting" }, "Drawing\u2026"));
  const section = el(
    "section", { className: "card", id: "curve" },
    el("div", { className: "row" }, el("h2", {}, "What moves it"), el("label", { className: "inline" }, "over ", select)),
    el("ul", { className: "legend" }, linesOf(axis).map(([name, words]) => el("li", { className: `key ${name}` }, words))),
    place,
  );
  draw(place, axis, { body, answer, state, signal }).catch((error) => {
    if (error.name === "AbortError") return;
    // A server without curves, or a point from which none can be drawn: the rest of the answer stands.
    if (error.status === 404) section.remove();
    else place.replaceChildren(el("p", { className: "hint" }, error.message));
  });
  return section;
}

async function draw(place, axis, { body, answer, state, signal }) {
  const { uncertainty, ...deployment } = body;
  // The same account of reading the cache as in the rates above, whose default is the run that reads.
  const view = axis === "position" ? { view: body.kv_view ?? "by_pass" } : {};
  const curve = await post("v1/curves", { ...deployment, curve: { axis, points: POINTS, ...view } }, signal);
  const { title, log, now } = AXES[axis];
  const series = linesOf(axis).map(([name, words]) => ({ name: words, className: name, values: curve.series[name] }));
  const chart = lineChart(`Cost of each kind of token over ${title}`, curve.x, series, {
    logX: log, logY: true, unitX: title, unitY: `${curve.currency} per million tokens`, mark: now(answer, state) || undefined,
  });
  const sentences = curve.explanation.map((sentence) => el("li", {}, sentence));
  place.replaceChildren(chart, el("ul", { className: "plain hint" }, sentences));
  place.removeAttribute("aria-busy");
}
