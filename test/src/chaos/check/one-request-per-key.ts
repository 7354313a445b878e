import { type Check, grouped, type Violation } from "./violation.js";

/**
 * Invariant 1: a request is acknowledged only after it is committed; the same key with the same content is the same request, and
 * with another content it is refused.
 *
 * Sees: acknowledged requests that the store does not have, or has with another key or context; two requests of one key; two answers
 * for one key; a key taken for two contents; tasks on hosts nobody asked for. Cannot see: a request lost before it was acknowledged,
 * which is allowed.
 */
export const oneRequestPerKey: Check = ({ submissions, requests, tasks }) => {
  const rule = "1 acknowledged after commit, one request a key";
  const found: Violation[] = [];
  const byId = new Map(requests.map((request) => [request.requestId, request]));
  for (const [key, same] of grouped(requests, (request) => request.key)) {
    if (same.length < 2) continue;
    const requestIds = same.map(({ requestId }) => requestId);
    found.push({ rule, what: `key ${key} has requests ${requestIds.join(", ")}`, requestIds });
  }
  for (const [key, calls] of grouped(submissions, (submission) => submission.key)) {
    const acknowledged = calls.flatMap(({ answer, content, asked }) =>
      answer.kind === "acknowledged" ? [{ ...answer, content, asked }] : [],
    );
    const requestIds = [...new Set(acknowledged.map(({ requestId }) => requestId))];
    if (requestIds.length > 1) {
      found.push({
        rule,
        what: `key ${key} was answered with requests ${requestIds.join(", ")}`,
        requestIds,
      });
    }
    const contents = new Set(acknowledged.map(({ content }) => content));
    if (contents.size > 1) {
      found.push({ rule, what: `key ${key} was taken for ${contents.size} contents`, requestIds });
    }
    const [first] = acknowledged;
    if (first === undefined) continue;
    const { requestId, asked } = first;
    const request = byId.get(requestId);
    if (request === undefined || !request.ready) {
      found.push({
        rule,
        what: `request ${requestId} was acknowledged and is not stored`,
        requestIds,
      });
      continue;
    }
    if (request.key !== key || request.context !== asked.context) {
      const what = `request ${requestId} was acknowledged for key ${key}, "${asked.context}", and is stored with key ${request.key}, "${request.context}"`;
      found.push({ rule, what, requestIds });
    }
    const own = tasks.filter((task) => task.requestId === requestId);
    const strays = own.filter(({ host }) => !asked.hosts.includes(host));
    const none = own.length === 0 && asked.names !== "services";
    if (strays.length > 0 || none) {
      const hosts = strays.map(({ host }) => host).join(", ") || "none";
      found.push({
        rule,
        what: `request ${requestId} has tasks on hosts not asked for: ${hosts}`,
        requestIds,
      });
    }
  }
  return found;
};
