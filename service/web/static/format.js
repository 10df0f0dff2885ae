// Numbers as people read them. No figure is computed here.

const MINUS = "\u2212";

/** A number with so many significant digits, thousands apart, never with an exponent in reach of money. */
export function significant(value, digits = 3) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "\u2013";
  const size = Math.abs(value);
  if (size < 1e-9 || size >= 1e15) return value.toExponential(digits - 1);
  const text = Number(size.toPrecision(digits)).toLocaleString("en-US", {
    maximumSignificantDigits: digits,
    minimumSignificantDigits: size < 1000 ? digits : 1,
    useGrouping: true,
  });
  return (value < 0 ? MINUS : "") + text.replaceAll(",", "\u202f");
}

/** The same without zeros that say nothing: of counts, which are often whole. */
export const count = (value) => significant(value, 4).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

export const percent = (share, digits = 2) =>
  Math.abs(share) >= 0.995 ? `${significant(Math.round(share * 100), 4).replace(/\.0+$/, "")} %` : `${significant(share * 100, digits)} %`;

const SECONDS = [[1, "s", 1], [1e-3, "ms", 1e3], [0, "\u00b5s", 1e6]];

export function seconds(value) {
  const [, unit, factor] = SECONDS.find(([least]) => value >= least);
  return `${significant(value * factor, 3)} ${unit}`;
}

export const gigabytes = (bytes) => `${significant(bytes / 1e9, 3)} GB`;

export const money = (value, currency) => `${currency} ${significant(Number(value), 3)}`;

export const day = (time) => (time ? time.slice(0, 10) : "open");

export const words = (name) => name.replaceAll("_", " ");
