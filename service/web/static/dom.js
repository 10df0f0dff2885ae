// Elements without markup in strings: whatever the server says stays text.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** A table; numbers stand right, a wide one scrolls on a phone. Columns: [title, cell of a row, "number" or ""]. */
export function table(caption, columns, rows, wide = false) {
  const kind = (column) => (column[2] === "number" ? "number" : null);
  const head = el("tr", {}, columns.map((column) => el("th", { scope: "col", className: kind(column) }, column[0])));
  const body = rows.map((row) =>
    el("tr", {}, columns.map((column, at) => {
      const cell = column[1](row);
      return at === 0 ? el("th", { scope: "row" }, cell) : el("td", { className: kind(column) }, cell);
    })),
  );
  const whole = el("table", { className: wide ? "many" : null }, el("caption", { className: "sr" }, caption), el("thead", {}, head), el("tbody", {}, body));
  return el("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": caption }, whole);
}
