// Two drawings in SVG: stacked bars and lines. Sizes are those of the view box; styles stand in explore.css.

import { svg } from "./dom.js";
import { percent, significant } from "./format.js";

/** On a phone a drawing is drawn narrow rather than shrunk, so that its text stays readable. */
const narrow = () => matchMedia("(max-width: 40rem)").matches;

export const RESOURCES = ["compute", "memory", "network", "overhead"];

/** Bars of several rows on one scale, each cut into shares by resource. Rows: {label, value, shares, text}. */
export function stackedBars(title, rows) {
  const [total, left, right] = narrow() ? [360, 108, 60] : [640, 112, 76];
  const height = 34, gap = 14;
  const most = Math.max(...rows.map((row) => row.value), 1e-300);
  const whole = svg("svg", {
    viewBox: `0 0 ${total} ${rows.length * (height + gap)}`, role: "img", className: "bars", "aria-label": title,
  });
  rows.forEach((row, at) => {
    const y = at * (height + gap) + gap / 2;
    whole.append(svg("text", { x: left - 12, y: y + height / 2, className: "label", "text-anchor": "end" }, row.label));
    const full = Math.max(((total - left - right) * row.value) / most, 2);
    let x = left;
    for (const name of RESOURCES) {
      const width = full * (row.shares[name] ?? 0);
      if (width <= 0) continue;
      const part = svg("rect", { x, y, width, height, className: `resource ${name}` });
      part.append(svg("title", {}, `${row.label}: ${name} ${percent(row.shares[name])}`));
      whole.append(part);
      if (width > 44) {
        const inside = { x: x + width / 2, y: y + height / 2, className: `share on-${name}`, "text-anchor": "middle" };
        whole.append(svg("text", inside, percent(row.shares[name])));
      }
      x += width;
    }
    whole.append(svg("text", { x: x + 10, y: y + height / 2, className: "value" }, row.text));
  });
  return whole;
}

/** Lines over one axis. Series: [{name, className, values}]; scales are logarithmic where asked for. */
export function lineChart(title, x, series, { logX, logY, unitX, unitY, mark }) {
  const box = { left: 64, right: 16, top: 14, bottom: 52, width: narrow() ? 360 : 640, height: 300 };
  const across = scale(x, logX, box.left, box.width - box.right, true);
  const shown = series.flatMap((one) => one.values).filter((value) => value > 0 || !logY);
  const up = scale(shown, logY, box.height - box.bottom, box.top, false);
  const whole = svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, role: "img", className: "lines", "aria-label": title });
  drawAxes(whole, box, across, up, [unitX, unitY]);
  if (mark !== undefined && across.holds(mark)) {
    const at = across.at(mark);
    whole.append(svg("line", { x1: at, x2: at, y1: box.top, y2: box.height - box.bottom, className: "mark" }));
    const nearEnd = at > box.width * 0.75;
    const place = { x: at + (nearEnd ? -6 : 6), y: box.top + 8, className: "tick", "text-anchor": nearEnd ? "end" : "start" };
    whole.append(svg("text", place, "this estimate"));
  }
  for (const one of series) {
    const points = one.values
      .map((value, at) => [x[at], value])
      .filter(([, value]) => value > 0 || !logY)
      .map(([a, b]) => `${across.at(a).toFixed(1)},${up.at(b).toFixed(1)}`);
    whole.append(svg("polyline", { points: points.join(" "), className: `line ${one.className}` }, svg("title", {}, one.name)));
  }
  return whole;
}

function drawAxes(whole, box, across, up, [unitX, unitY]) {
  const bottom = box.height - box.bottom;
  for (const value of up.ticks) {
    const y = up.at(value);
    whole.append(svg("line", { x1: box.left, x2: box.width - box.right, y1: y, y2: y, className: "grid" }));
    whole.append(svg("text", { x: box.left - 8, y, className: "tick", "text-anchor": "end" }, short(value)));
  }
  for (const value of across.ticks) {
    const at = across.at(value);
    whole.append(svg("line", { x1: at, x2: at, y1: bottom, y2: bottom + 5, className: "grid" }));
    whole.append(svg("text", { x: at, y: bottom + 18, className: "tick", "text-anchor": "middle" }, short(value)));
  }
  whole.append(svg("text", { x: (box.left + box.width) / 2, y: box.height - 8, className: "title", "text-anchor": "middle" }, unitX));
  const middle = bottom / 2;
  whole.append(svg("text", { x: 14, y: middle, className: "title", "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, unitY));
}

function short(value) {
  if (value >= 1e6) return `${significant(value / 1e6, 2)}M`;
  return value >= 1e4 ? `${significant(value / 1e3, 2).replace(/\.0$/, "")}k` : String(Number(value.toPrecision(3)));
}

function scale(values, log, from, to, exact) {
  let low = Math.min(...values), high = Math.max(...values);
  if (log) {
    low = Math.max(low, 1e-12);
    if (!exact || high <= low) [low, high] = [low / 1.15, high * 1.15];
  } else if (!exact) {
    low = Math.min(low, 0);
    high += (high - low) * 0.05 || 1;
  }
  const shape = log ? Math.log : (value) => value;
  const span = shape(high) - shape(low) || 1;
  return {
    at: (value) => from + ((shape(Math.max(value, log ? low : value)) - shape(low)) / span) * (to - from),
    holds: (value) => value >= low && value <= high,
    ticks: log ? logTicks(low, high) : linearTicks(low, high),
  };
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const steps = decades > 5 ? [1] : decades > 2.2 ? [1, 3] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const step of steps) {
      const value = Number((step * 10 ** power).toPrecision(3));
      if (value >= low && value <= high) ticks.push(value);
    }
  }
  return ticks;
}

function linearTicks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high * (1 + 1e-9); value += step) {
    ticks.push(Number(value.toPrecision(6)));
  }
  return ticks;
}
