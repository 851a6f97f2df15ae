// Decide one credit application over HTTP: a caller to copy. It needs Node 18 and no package.
//
//     node client.mjs [application.json]
//
// The exit status is 0 when it is decided, 1 when it is refused for good, and 2 when the caller gives up.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const SERVICE = process.env.CREDIT_RISK_URL ?? "http://localhost:3000";
const TOKEN = process.env.CREDIT_RISK_TOKEN;
const ATTEMPT = 5_000; // milliseconds, connecting included: fetch has no timeout of its own for that
const BACKOFFS = [500, 1_000, 2_000]; // the least milliseconds before each further attempt
const TOTAL = 30_000; // milliseconds, after which no attempt begins

/** The service would refuse the same request again. */
class RefusedError extends Error {}

/** The service did not decide now. It may after `retryAfter` milliseconds. */
class UnavailableError extends Error {
  constructor(message, { retryAfter = 0, cause } = {}) {
    super(message, { cause });
    this.retryAfter = retryAfter;
  }
}

/** Ask until the service decides, or until asking again is no use. */
async function decide(application, requestId) {
  const deadline = performance.now() + TOTAL;
  for (const backoff of BACKOFFS) {
    try {
      return await ask(application, requestId);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      // The jitter keeps callers that failed together from coming back together.
      const wait = Math.ceil(Math.max(error.retryAfter, backoff) * (1 + Math.random()));
      if (performance.now() + wait > deadline) throw error;
      console.error(`${error.message} Trying again in ${(wait / 1000).toFixed(1)} s.`);
      await sleep(wait);
    }
  }
  return ask(application, requestId);
}

async function ask(application, requestId) {
  const headers = { "Content-Type": "application/json", "X-Request-Id": requestId };
  if (TOKEN) headers.Authorization = `Bearer ${TOKEN}`;
  const request = new Request(`${SERVICE.replace(/\/$/, "")}/classify`, {
    method: "POST",
    headers,
    body: application,
    redirect: "manual", // an application goes nowhere but to the service
    signal: AbortSignal.timeout(ATTEMPT),
  });
  let response, body;
  try {
    response = await fetch(request);
    body = await response.text();
  } catch (error) {
    throw new UnavailableError(`The service did not answer (${error.cause?.code ?? error.message}).`, { cause: error });
  }
  const { status } = response;
  if (status === 200) return JSON.parse(body);
  const { message, detail } = errorOf(response, body);
  switch (status) {
    case 400: {
      const faults = detail.map(({ loc, msg }) => `- ${loc.join(".") || "application"}: ${msg}`);
      throw new RefusedError([message, ...faults].join("\n"));
    }
    case 401:
      throw new RefusedError(`${message} Set CREDIT_RISK_TOKEN to a token that the service knows.`);
    case 429:
    case 503: {
      // Without seconds (a proxy may send a date, or nothing) the backoff counts.
      const seconds = Number(response.headers.get("Retry-After"));
      throw new UnavailableError(message, { retryAfter: seconds > 0 ? seconds * 1000 : 0 });
    }
    default:
      // With 500 and 504, as without an answer, the service may have decided, and the decision be on record.
      // Asking again gives the same decision and another record, with the same request id.
      if (status >= 500) throw new UnavailableError(message);
      // 408, 413 and 431: the request is too slow or too large; 404 and others: the URL is wrong
      throw new RefusedError(message);
  }
}

/** Return the error in words and its detail. A proxy's error has a body of its own, which is left out. */
function errorOf({ status, statusText }, body) {
  try {
    const { error, detail } = JSON.parse(body);
    if (error && detail) return { message: `The service answered ${status} (${error}).`, detail };
  } catch {} // not JSON
  return { message: `The service answered ${status} ${statusText}.`, detail: [] };
}

// The service puts this id on record with the decision, and into its answer. Keep it: support and traces find the
// request by it, also when no answer came.
const requestId = randomUUID();
console.error(`Request ${requestId}`);
try {
  const application = await readFile(process.argv[2] ?? "application.json");
  const decision = await decide(application, requestId);
  console.log(`${decision.Status}, with a probability of default of ${decision.probability_of_default}`);
  for (const { code, text } of decision.reasons) console.log(`Reason ${code}: ${text}`);
  console.log(`Decision ${decision.decision_id}`);
} catch (error) {
  const gaveUp = error instanceof UnavailableError;
  console.error(gaveUp ? `${error.message} Gave up.` : error.message);
  process.exitCode = gaveUp ? 2 : 1;
}
