// The answer of an estimate as sections of the page. Figures are shown as the server gave them.

import { stackedBars, RESOURCES } from "./charts.js";
import { el, table } from "./dom.js";
import { count, day, gigabytes, money, percent, seconds, significant, words } from "./format.js";

const HELD_BY = {
  tpot: "the limit on each further token", ttft: "the limit on the first token", max_batch: "the engine's most sequences",
  prefill: "prefill in every step", throughput: "throughput, which falls beyond", arrivals: "the arrivals",
};
const KINDS = { uncached_input: "input", cached_input: "cached input", output: "output" };

const card = (title, ...content) => el("section", { className: "card" }, el("h2", {}, title), content);

export function headline(answer) {
  const [fresh, , output] = answer.rates;
  const sure = intervalOf(answer, "output_to_input_ratio");
  return el(
    "section", { className: "card headline" },
    el("p", { className: "ratio" }, "An output token costs ", el("b", { id: "ratio" }, `${significant(answer.output_to_input_ratio, 3)}\u00d7`), " an input token",
      sure && el("small", { className: "hint" }, ` P10 to P90: ${significant(sure.p10, 2)} to ${significant(sure.p90, 2)}\u00d7`)),
    el("p", { className: "sub" },
      `${money(output.per_million_tokens, output.currency)} against ${money(fresh.per_million_tokens, fresh.currency)} per million, `,
      `${answer.model} on ${answer.accelerators_per_replica} \u00d7 ${answer.accelerator}`),
    el("div", { className: "rates" }, answer.rates.map((rate) => rateCard(rate, answer))),
  );
}

function rateCard(rate, answer) {
  const sure = intervalOf(answer, `rates.${rate.kind}.per_million_tokens`);
  const none = rate.tokens_per_request === 0;
  return el(
    "div", { className: `rate ${rate.kind}`, "data-kind": rate.kind },
    el("h3", {}, KINDS[rate.kind]),
    el("p", { className: "amount" }, significant(rate.per_million_tokens, 3), el("small", {}, ` ${rate.currency} per million`)),
    sure && el("p", { className: "hint interval" }, `P10 to P90: ${significant(sure.p10, 3)} to ${significant(sure.p90, 3)}`),
    el("p", { className: "hint" }, none ? "none in this mix: what the first would cost" : `${count(rate.tokens_per_request)} a request`),
  );
}

export const intervalOf = (answer, path) => answer.uncertainty?.figures?.[path] ?? null;

export function shares(answer) {
  const rows = answer.rates.map((rate) => ({
    label: KINDS[rate.kind], value: rate.per_million_tokens, shares: rate.share_by_resource,
    text: significant(rate.per_million_tokens, 3),
  }));
  const columns = (names, of) => [["token", (rate) => KINDS[rate.kind], ""], ...names.map((name) => [words(name), (rate) => percent(rate[of][name] ?? 0), "number"])];
  return card(
    "What it is paid for",
    el("ul", { className: "legend" }, RESOURCES.map((name) => el("li", { className: `key ${name}` }, name))),
    stackedBars(`Cost per million tokens by kind, cut by resource`, rows),
    el("details", {}, el("summary", {}, "The same as tables"),
      table("Shares by resource", columns(RESOURCES, "share_by_resource"), answer.rates),
      table("Shares by component", columns(Object.keys(answer.rates[0].share_by_component), "share_by_component"), answer.rates)),
  );
}

export function why(answer) {
  const warnings = answer.warnings.map((text) => el("p", { className: "warning" }, text));
  return card("Why", el("ul", { className: "plain", id: "why" }, answer.explanation.map((text) => el("li", {}, text))), warnings);
}

export function speed(answer) {
  const { latency, throughput, operating_point: point, memory, energy } = answer;
  const facts = [
    ["First token", seconds(latency.ttft_seconds), `p99 ${seconds(latency.ttft_p99_seconds)}`],
    ["Each further token", seconds(latency.tpot_seconds), `${significant(latency.interactivity_tokens_per_second, 3)} a second for each user`],
    ["Whole request", seconds(latency.end_to_end_seconds), `${money(answer.cost_per_request, answer.currency)} each`],
    ["Output of an accelerator", `${significant(throughput.output_tokens_per_second_per_accelerator, 3)} tokens/s`, `${significant(throughput.output_tokens_per_second, 4)} of a replica`],
    ["Decoding together", significant(point.batch, 3), `${count(point.concurrency)} in flight; held by ${HELD_BY[point.limited_by] ?? words(point.limited_by)}`],
    ["Utilisation", percent(point.utilisation), `${answer.currency} ${significant(Number(answer.cost_per_accelerator_hour), 3)} an accelerator-hour`],
    ["Peak reached", percent(answer.mfu), `of FLOP/s; ${percent(answer.mbu)} of memory bandwidth`],
    ["Energy of an output token", `${significant(energy.joules_per_token.output, 3)} J`, `${significant(energy.facility_joules_per_token.output, 3)} J with host, network, cooling and waiting`],
    ["Room for", `${significant(memory.max_batch, 3)} sequences`, `${gigabytes(memory.weights_bytes)} weights of ${gigabytes(memory.usable_bytes)} usable`],
  ];
  const bound = [
    ["run", (row) => (row.step === "decode" ? "decodes only" : "carries a prompt"), ""],
    ["bound by", (row) => row.resource, ""],
    ["time", (row) => seconds(row.seconds), "number"],
    ["FLOP/byte", (row) => significant(row.flop_per_byte, 3), "number"],
    ["ridge", (row) => significant(row.ridge_flop_per_byte, 3), "number"],
  ];
  return card(
    "Speed and room",
    el("dl", { className: "facts" }, facts.map(([name, value, note]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, note))))),
    table("What limits a run", bound, answer.bounds),
  );
}

/** List prices; with the comparison, also the utilisation that leaves its target margin, and outliers. */
export function listPrices(answer, compared) {
  if (answer.list_prices.length === 0) {
    return card("What providers charge", el("p", { className: "hint" }, "The catalog has no list price of this model."));
  }
  const beside = new Map((compared?.listings ?? []).map((row) => [keyOf(row.listing), row]));
  const amount = (text) => (text === null ? "\u2013" : text);
  const currencies = [...new Set(answer.list_prices.map((row) => row.currency))];
  const columns = [
    ["provider", (row) => [row.provider, note(row, beside.get(keyOf(row)))], ""],
    ["input", (row) => [currencies.length > 1 ? `${row.currency} ` : "", amount(row.input_per_million)], "number"],
    ["cached", (row) => amount(row.cached_input_per_million), "number"],
    ["output", (row) => amount(row.output_per_million), "number"],
    ["ratio", (row) => (row.output_to_input_ratio === null ? "\u2013" : significant(row.output_to_input_ratio, 3)), "number"],
    ["margin", (row) => (row.margin === null ? "\u2013" : el("span", { className: row.margin < 0 ? "loss" : "gain" }, percent(row.margin))), "number"],
    ["breaks even at", (row) => (row.breakeven_utilisation === null ? "\u2013" : percent(row.breakeven_utilisation)), "number"],
  ];
  if (compared) {
    const target = percent(compared.target_margin);
    columns.push([`leaves ${target} at`, (row) => {
      const at = beside.get(keyOf(row))?.utilisation_at_target_margin;
      return at === null || at === undefined ? "\u2013" : percent(at);
    }, "number"]);
  }
  columns.push(["since", (row) => day(row.valid_from), "number"]);
  return card(
    "What providers charge",
    el("p", { className: "hint" }, `${currencies.join(" or ")} per million tokens; the margin of this mix at the modelled cost, and the utilisation at which it is nil.`),
    table("List prices beside the modelled cost", columns, [ownRow(answer), ...answer.list_prices], true),
  );
}

/** The modelled cost as the first row, so that prices stand beside it. */
function ownRow(answer) {
  const [fresh, cached, output] = answer.rates.map((rate) => significant(rate.per_million_tokens, 3));
  return {
    provider: "modelled cost", provider_model_id: `${answer.accelerators_per_replica} \u00d7 ${answer.accelerator}`,
    relation: "same", routed_from: null, currency: answer.currency, input_per_million: fresh,
    cached_input_per_million: cached, output_per_million: output, output_to_input_ratio: answer.output_to_input_ratio,
    margin: null, breakeven_utilisation: null, valid_from: answer.resolved.as_of,
  };
}

const keyOf = (row) => `${row.provider} ${row.provider_model_id}`;

function note(row, compared) {
  const said = [row.relation === "same" ? "" : row.relation, row.routed_from ? `routes to ${row.routed_from}` : "", compared?.outlier ?? ""];
  const text = said.filter(Boolean).join(", ");
  return el("small", {}, text || row.provider_model_id);
}

/** The measured runs nearest to the estimate, and what is known where there is none near. */
function measured(evidence) {
  const columns = [
    ["run", (row) => row.point.model, ""],
    ["on", (row) => `${row.point.accelerators} \u00d7 ${row.point.accelerator}, ${row.point.engine}, ${row.point.weight_format}`, ""],
    ["tokens in, out", (row) => `${count(row.point.input_tokens)}, ${count(row.point.output_tokens)}`, "number"],
    ["in flight", (row) => count(row.point.concurrency), "number"],
    ["each token, measured", (row) => seconds(row.point.measured_tpot_seconds), "number"],
    ["predicted", (row) => seconds(row.point.predicted_tpot_seconds), "number"],
    ["distance", (row) => significant(row.distance, 2), "number"],
  ];
  const far = evidence.extrapolates ? "No measured run is near this estimate: it extrapolates." : "Measured runs are near this estimate.";
  return el("div", { id: "measured" }, el("p", {}, far),
    evidence.nearest.length ? table("Nearest measured runs", columns, evidence.nearest, true) : null);
}

export function sources(answer) {
  const { provenance, conservation, resolved } = answer;
  const columns = [
    ["row", (row) => words(row.kind), ""],
    ["key", (row) => row.key, ""],
    ["value", (row) => row.value, ""],
    ["valid", (row) => (row.valid_from ? `${day(row.valid_from)} to ${day(row.valid_to)} (${row.valid_from_basis})` : ""), ""],
    ["source", (row) => row.source, ""],
  ];
  const sure = answer.uncertainty;
  return card(
    "Check and sources",
    el("p", { id: "conservation" },
      `Tokens \u00d7 rates give ${money(conservation.sum_per_request, conservation.currency)} a request, the bill is `,
      `${money(conservation.bill_per_request, conservation.currency)}: apart by ${significant(conservation.relative_difference, 2)}.`),
    measured(answer.evidence),
    sure && el("p", { id: "sure" },
      `P10 to P90 from ${sure.samples} samples: efficiencies (calibration level ${sure.calibration_level}), ${sure.price.rows} prices from `,
      `${significant(sure.price.lowest, 3)} to ${significant(sure.price.highest, 3)} ${sure.price.currency}, utilisation `,
      sure.utilisation_low === sure.utilisation_high ? `${percent(sure.utilisation_low)}.` : `${percent(sure.utilisation_low)} to ${percent(sure.utilisation_high)}.`),
    table("Rows used", columns, provenance.rows, true),
    el("p", { className: "hint" },
      `Engine ${provenance.engine_version}, calibration ${provenance.calibration} (${provenance.calibration_level}), catalog revision `,
      `${provenance.catalog_revision}, equations ${provenance.equations.join(", ")}.`),
    el("p", { className: "hint digest" }, answer.digest),
    el("details", {}, el("summary", {}, `${resolved.defaulted.length} values were chosen for you`),
      el("pre", { tabindex: "0" }, JSON.stringify(resolved, null, 2))),
  );
}
