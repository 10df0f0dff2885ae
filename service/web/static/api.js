// Talks to the service that served the page. Refusals are problems (RFC 9457) and come back as errors.

export const address = (path) => new URL(path, document.baseURI).href;

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail ?? body.title ?? `The server answered ${status}.`);
    this.title = body.title ?? "Something went wrong";
    this.errors = body.errors ?? [];
    this.name = (body.type ?? "").split("/").pop();
    this.status = status;
  }
}

let key = "";

export const useKey = (text) => {
  key = text.trim();
};

async function answer(path, options) {
  const headers = { ...(options.headers ?? {}), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(address(path), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The server does not answer", detail: "The connection failed; try again." }, 0);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(body, response.status);
  return body;
}

export const get = (path) => answer(path, {});

export const post = (path, body, signal) =>
  answer(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/** Every row of a list; pages are followed. */
export async function all(path) {
  const rows = [];
  let cursor = null;
  do {
    const glue = path.includes("?") ? "&" : "?";
    const page = await get(`${path}${glue}limit=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    rows.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return rows;
}
