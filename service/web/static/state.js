// What is asked: the form, the address of the page, the body of the request. One list of names for all three.

const NAMES = [
  "model", "accelerator", "gpus", "precision", "engine", "input", "output", "cached", "point", "concurrency",
  "ttft", "tpot", "rate", "utilisation", "amount", "currency", "provider", "split", "view", "sure", "axis",
];

const EXAMPLE = {
  model: "llama-3.1-70b", accelerator: "h100-sxm", gpus: "8", precision: "fp8", input: "4000", output: "1000",
  cached: "0", point: "concurrency", concurrency: "64", utilisation: "50", sure: "1", axis: "batch",
};

/** What belongs to a way of giving the load, so that nothing hidden is sent or linked. */
const OF_POINT = {
  concurrency: ["concurrency", "utilisation"],
  cheapest: ["ttft", "tpot", "utilisation"],
  arrival_rate: ["rate"],
};

export function fromAddress(search) {
  const query = new URLSearchParams(search);
  const named = NAMES.filter((name) => query.has(name));
  if (named.length === 0) return { ...EXAMPLE };
  const state = Object.fromEntries(named.map((name) => [name, query.get(name)]));
  return { model: EXAMPLE.model, accelerator: EXAMPLE.accelerator, axis: EXAMPLE.axis, ...state, point: pointOf(state) };
}

const pointOf = (state) => (state.point in OF_POINT ? state.point : "cheapest");

export function toAddress(state) {
  const query = new URLSearchParams();
  for (const name of NAMES) {
    if (isSaid(state, name)) query.set(name, state[name]);
  }
  return `?${query}`;
}

function isSaid(state, name) {
  const hidden = Object.values(OF_POINT).flat().includes(name) && !OF_POINT[pointOf(state)].includes(name);
  return !hidden && state[name] !== undefined && state[name] !== "";
}

const number = (text) => (text === undefined || text === "" ? undefined : Number(text));
// A share typed in percent: 12 digits, or 0.07 would be sent as 0.07000000000000001.
const share = (text) => (number(text) === undefined ? undefined : Number((Number(text) / 100).toPrecision(12)));

/** Without what was left out; nothing at all where nothing was said. */
function said(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return kept.length ? Object.fromEntries(kept) : undefined;
}

/** The body of POST /v1/estimates. */
export function toBody(state) {
  return said({
    model: state.model,
    accelerator: state.accelerator,
    layout: said({ tp: number(state.gpus) }),
    serving: said({ engine: state.engine }),
    formats: said({ precision: state.precision }),
    workload: workload(state),
    operating_point: operatingPoint(state),
    utilisation: isSaid(state, "utilisation") ? share(state.utilisation) : undefined,
    price: price(state),
    split: state.split,
    kv_view: state.view,
    uncertainty: state.sure ? {} : undefined,
  });
}

function workload(state) {
  const lengths = said({
    input_tokens: number(state.input), output_tokens: number(state.output), cached_share: share(state.cached),
  });
  return lengths && { classes: [{ name: "requests", weight: 1, ...lengths }] };
}

function operatingPoint(state) {
  if (pointOf(state) === "concurrency") return { kind: "concurrency", concurrency: number(state.concurrency) };
  if (pointOf(state) === "arrival_rate") return { kind: "arrival_rate", requests_per_second: number(state.rate) };
  const tpot = number(state.tpot);
  const limits = said({
    max_ttft_seconds: number(state.ttft),
    max_tpot_seconds: tpot === undefined ? undefined : Number((tpot / 1000).toPrecision(12)),
  });
  return limits && { kind: "cheapest", ...limits };
}

function price(state) {
  // A provider's price stands for itself; an amount of one's own needs its currency beside it.
  if (state.amount) return said({ amount: state.amount, currency: (state.currency || "USD").toUpperCase() });
  return said({ provider: state.provider });
}

export function curlOf(url, body) {
  const text = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl -s ${url} -H 'Content-Type: application/json' -d '${text}'`;
}
