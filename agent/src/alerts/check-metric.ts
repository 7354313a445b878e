import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { calculate } from "./arithmetic.js";
import { connectionProblem } from "./connection-problem.js";
import { countedEntries } from "./counted-entries.js";
import { AlertDefinitionError } from "./definition-error.js";
import { type Found, numberOf } from "./host-alert.js";
import { httpGet } from "./http-get.js";
import { stateOf } from "./thresholds.js";
import { type HostNames, type WebAddress, webAddress } from "./web-address.js";
import { refuseKerberos, timeoutOf, urlOf } from "./web-request.js";

const mostBytes = 16 << 20;
const mostProperties = 50;

/** Reads JMX properties, calculates with them and compares the outcome with the thresholds. */
export async function checkMetric(
  source: JsonObject,
  context: HostNames,
  signal: AbortSignal,
): Promise<Found> {
  const { uri, jmx } = source;
  if (!isJsonObject(jmx)) throw new AlertDefinitionError("it has no jmx block");
  const properties = propertiesOf(jmx);
  refuseKerberos(uri, context.root);
  const address = webAddress(uri, context);
  const beans = new Map<string, JsonObject>();
  const values: Json[] = [];
  // One after another: they are few, and of one server.
  for (const { bean, attribute } of properties) {
    const known =
      beans.get(bean) ?? (await readBean(jmxUrl(address, jmx, bean), bean, timeoutOf(uri), signal));
    beans.set(bean, known);
    const value = Object.hasOwn(known, attribute) ? known[attribute] : undefined;
    if (value === undefined) throw new Error(`The JMX bean ${bean} has no ${attribute}`);
    values.push(value);
  }
  return compared(values, jmx.value, source);
}

/** Compares what an expression makes of the values, or the first of them, with the thresholds. The expression's outcome is the last one. */
export function compared(
  values: readonly Json[],
  expression: Json | undefined,
  source: JsonObject,
): Found {
  const computed =
    typeof expression === "string" && expression.trim() !== ""
      ? (countedEntries(expression, values) ?? calculate(expression, values))
      : null;
  const value = computed ?? numberOf(values[0]);
  if (value === undefined) {
    const what = (JSON.stringify(values[0]) ?? "nothing").slice(0, 100);
    throw new Error(`${what} is no number, so that it cannot be compared with the thresholds`);
  }
  return { state: stateOf(value, source), args: [...values, computed], template: "Value: {0}" };
}

function propertiesOf({ property_list: list }: JsonObject) {
  const names = Array.isArray(list) ? (list as readonly Json[]) : [];
  if (names.length === 0 || names.length > mostProperties) {
    throw new AlertDefinitionError(
      `its jmx.property_list has ${names.length} properties; 1 to ${mostProperties} are needed`,
    );
  }
  return names.map((name) => {
    const [, bean, attribute] = /^(.+)\/([^/]+)$/.exec(String(name)) ?? [];
    if (bean === undefined || attribute === undefined) {
      throw new AlertDefinitionError(
        `${JSON.stringify(name)} in its jmx.property_list is not BEAN/ATTRIBUTE`,
      );
    }
    return { bean, attribute };
  });
}

function jmxUrl(address: WebAddress, { url_suffix: suffix }: JsonObject, bean: string): string {
  const path = typeof suffix === "string" && suffix !== "" ? suffix : "/jmx";
  const query = encodeURIComponent(bean).replaceAll("%3A", ":").replaceAll("%3D", "=");
  return `${urlOf({ ...address, path: path.startsWith("/") ? path : `/${path}` })}?qry=${query}`;
}

async function readBean(
  url: string,
  bean: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<JsonObject> {
  let problem: string;
  try {
    const { status, body } = await httpGet(url, { timeoutMs, mostBytes }, signal);
    const found = status === 200 ? beanIn(body, bean) : undefined;
    if (found !== undefined) return found;
    problem = status === 200 ? "no such bean in the answer" : `status ${status}`;
  } catch (error) {
    signal.throwIfAborted();
    problem = connectionProblem(error);
  }
  throw new Error(`Unable to read JMX from ${url}: ${problem}`);
}

/** The only one, or the one of this name. */
function beanIn(body: string, name: string): JsonObject | undefined {
  let answer: Json;
  try {
    answer = JSON.parse(body) as Json;
  } catch {
    throw new Error("the answer is no JSON");
  }
  const list = isJsonObject(answer) ? answer.beans : undefined;
  const beans = Array.isArray(list) ? (list as readonly Json[]).filter(isJsonObject) : [];
  return beans.find((bean) => bean.name === name) ?? beans[0];
}
