import { fromBinary } from "@bufbuild/protobuf";
import { type RequestOptions, RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { policyOf as readPolicy } from "@howdah/state/retry-policy";
import type { Policy } from "@howdah/state/transitions";
import type { RequestRow } from "../store/request-rows.js";
import type { TaskRow } from "../store/task-rows.js";

interface Settings {
  readonly options: RequestOptions;
  /** By role command, and whether it is a manual step. */
  readonly policies: Map<string, Policy>;
}

/** By the bytes they were read from: a batch asks for one request's options again and again. */
const settings = new WeakMap<Buffer, Settings>();

function settingsOf({ options: data }: Pick<RequestRow, "options">): Settings {
  const known = settings.get(data);
  if (known !== undefined) return known;
  const read = { options: fromBinary(RequestOptionsSchema, data), policies: new Map() };
  settings.set(data, read);
  return read;
}

/** A request's options, parsed once for each time its row is read. */
export function optionsOf(request: Pick<RequestRow, "options">): RequestOptions {
  return settingsOf(request).options;
}

/** What a request's options say about the failures of a task. */
export function policyOf(
  request: Pick<RequestRow, "options">,
  { role, roleCommand, manual }: Pick<TaskRow, "role" | "roleCommand" | "manual">,
): Policy {
  const { options, policies } = settingsOf(request);
  const name = `${role}/${roleCommand}/${manual}`;
  const policy = policies.get(name) ?? readPolicy(options, { role, roleCommand }, manual);
  policies.set(name, policy);
  return policy;
}
