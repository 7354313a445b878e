import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { connectionProblem } from "./connection-problem.js";
import type { Found } from "./host-alert.js";
import { type Answer, httpGet } from "./http-get.js";
import { type HostNames, webAddress } from "./web-address.js";
import { refuseKerberos, timeoutOf, urlOf } from "./web-request.js";

const okText = "HTTP {0} response in {2:.4f} seconds";
const warningText = "HTTP {0} response from {1} in {2:.4f} seconds ({3})";
const failedText = "Connection failed to {1}: {3}";

/** Asks a web server for a page. CRITICAL when it does not answer, OK by the status of its answer, else WARNING. */
export async function checkWeb(
  { uri }: JsonObject,
  context: HostNames,
  signal: AbortSignal,
): Promise<Found> {
  refuseKerberos(uri, context.root);
  const url = urlOf(webAddress(uri, context));
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  let answer: Answer;
  try {
    answer = await httpGet(url, { timeoutMs: timeoutOf(uri) }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const args = [0, url, seconds(), connectionProblem(error)];
    return { state: "CRITICAL", args, template: failedText };
  }
  const { status, endless } = answer;
  if (endless) {
    const args = [status, url, seconds(), "it redirects again and again"];
    return { state: "WARNING", args, template: warningText };
  }
  const isOk = status < 400 || acceptable(uri).includes(status);
  const args = [status, url, seconds(), isOk ? "" : `status ${status}`];
  return isOk
    ? { state: "OK", args, template: okText }
    : { state: "WARNING", args, template: warningText };
}

function acceptable(uri: Json | undefined): readonly Json[] {
  const codes = isJsonObject(uri) ? uri.acceptable_codes : undefined;
  return Array.isArray(codes) ? (codes as readonly Json[]).map((code) => Number(code)) : [];
}
