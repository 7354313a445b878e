import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { ArithmeticError, calculate } from "./arithmetic.js";
import { connectionProblem } from "./connection-problem.js";
import { AlertDefinitionError } from "./definition-error.js";
import { type Found, numberOf } from "./host-alert.js";
import { httpGet } from "./http-get.js";
import { stateOf } from "./thresholds.js";
import { type HostNames, webAddress } from "./web-address.js";
import { timeoutOf, urlOf } from "./web-request.js";

const defaultPort = 6188;
const mostBytes = 16 << 20;
const longestMinutes = 44_640;

const computations = new Map<string, (values: readonly number[]) => number>([
  ["mean", mean],
  ["count", (values) => values.length],
  ["sample_standard_deviation", deviation],
  ["sample_standard_deviation_percentage", (values) => (deviation(values) / mean(values)) * 100],
]);

/** Reads time series of Ambari Metrics, computes one number of them and compares it with the thresholds. */
export async function checkAms(
  source: JsonObject,
  context: HostNames,
  signal: AbortSignal,
  nowMs = Date.now(),
): Promise<Found> {
  const { ams } = source;
  if (!isJsonObject(ams)) throw new AlertDefinitionError("it has no ams block");
  const compute = computations.get(String(ams.compute));
  if (compute === undefined) {
    const known = [...computations.keys()].join(", ");
    const what = JSON.stringify(ams.compute ?? null).slice(0, 50);
    throw new AlertDefinitionError(`its ams.compute is ${what}, which is none of ${known}`);
  }
  const metrics = Array.isArray(ams.metric_list) ? ams.metric_list.map(String) : [];
  if (metrics.length === 0) throw new AlertDefinitionError("its ams.metric_list is empty");
  const series = await readSeries(source, ams, metrics, context, signal, nowMs);
  const minimum = numberOf(ams.minimum_value);
  const expression = typeof ams.value === "string" && ams.value.trim() !== "" ? ams.value : "{0}";
  const values = valuesOf(series, expression).filter(
    (value) => minimum === undefined || value > minimum,
  );
  const result = values.length === 0 ? Number.NaN : compute(values);
  if (!Number.isFinite(result)) {
    throw new Error(`There are too few values of ${metrics.join(", ")} to compute ${ams.compute}`);
  }
  return { state: stateOf(result, source), args: [result], template: "Value: {0}" };
}

/** What the expression makes of the metrics at each time that all of them have a value of. */
function valuesOf(series: readonly JsonObject[], expression: string): number[] {
  const [first = {}] = series;
  const times = Object.keys(first).filter((time) =>
    series.every((one) => Object.hasOwn(one, time)),
  );
  return times.flatMap((time) => {
    const values = series.map((one) => one[time] ?? null);
    try {
      return calculate(expression, values);
    } catch (error) {
      if (error instanceof ArithmeticError) return [];
      throw error;
    }
  });
}

async function readSeries(
  { uri }: JsonObject,
  ams: JsonObject,
  metrics: readonly string[],
  context: HostNames,
  signal: AbortSignal,
  nowMs: number,
): Promise<JsonObject[]> {
  const block = isJsonObject(uri) ? { default_port: defaultPort, ...uri } : uri;
  const minutes = Math.min(longestMinutes, Math.max(1, numberOf(ams.interval) ?? 1));
  const query = new URLSearchParams({
    metricNames: metrics.join(","),
    appId: String(ams.app_id ?? ""),
    hostname: context.hostNames[0] ?? "",
    startTime: String(nowMs - minutes * 60_000),
    endTime: String(nowMs),
    precision: "seconds",
    grouped: "true",
  });
  const path = `/ws/v1/timeline/metrics?${query}`;
  const url = urlOf({ ...webAddress(block, context), scheme: "http", path });
  const where = url.slice(0, url.indexOf("?"));
  let body: string;
  try {
    const answer = await httpGet(url, { timeoutMs: timeoutOf(uri), mostBytes }, signal);
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    body = answer.body;
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`Unable to read metrics from ${where}: ${connectionProblem(error)}`);
  }
  return metrics.map((name) => seriesNamed(body, name, where));
}

function seriesNamed(body: string, name: string, where: string): JsonObject {
  let answer: Json;
  try {
    answer = JSON.parse(body) as Json;
  } catch {
    throw new Error(`Unable to read metrics from ${where}: the answer is no JSON`);
  }
  const list = isJsonObject(answer) ? answer.metrics : undefined;
  const all = Array.isArray(list) ? (list as readonly Json[]).filter(isJsonObject) : [];
  const found = all.find(({ metricname }) => metricname === name)?.metrics;
  if (isJsonObject(found)) return found;
  throw new Error(`Unable to read metrics from ${where}: it has no ${name}`);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample, so by n - 1; not a number for less than two. */
function deviation(values: readonly number[]): number {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}
