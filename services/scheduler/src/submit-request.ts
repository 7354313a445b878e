import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import {
  type Operation,
  type RequestOptions,
  RequestOptionsSchema,
} from "@howdah/proto/howdah/v1/operation";
import type { Request } from "@howdah/proto/howdah/v1/request";
import {
  NothingToDoSchema,
  type SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import type { PlanningSources } from "./cluster-input.js";
import { confirmFirst } from "./confirm-first.js";
import { contentDigest } from "./content-digest.js";
import {
  checkBatches,
  contentsOf,
  createRequestMessages,
  draftOf,
  type NewRequest,
  newRequest,
} from "./create-request.js";
import type { Making } from "./engine/agenda.js";
import type { Engine } from "./engine/engine.js";
import { invalidArgument } from "./invalid-argument.js";
import { planRequest } from "./plan-request.js";
import { type PlannedRequest, skippedOf } from "./planned-request.js";
import { shorten } from "./planner/operation.js";
import { missingWindow } from "./schedules/missing-window.js";

/** The engine while this scheduler leads. */
export interface Leading {
  readonly engine: Engine;
  readonly token: bigint;
}

/** What planning and storing a request needs. */
export interface SubmitSources extends PlanningSources {
  readonly store: Client<typeof CommandStoreService>;
}

/** Plans what would become a request. Errors as submitRequest, which is the only one to refuse a plan with nothing in it. */
export async function planChecked(
  sources: SubmitSources,
  operation: Operation | undefined,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const [planned, missing] = await Promise.all([
    planRequest(sources, operation, options, signal),
    missingWindow(sources.store, options, signal),
  ]);
  if (missing !== undefined) throw invalidArgument("options.window", missing);
  checkBatches(planned, options);
  return { ...planned, plan: confirmFirst(planned.plan, options?.confirm) };
}

/**
 * Plans an operation, stores it as a request and hands it to the engine. What people submit and what schedules do goes this way. A repeat
 * with the same key and content gives the same request.
 * @param request checked already
 * @throws ConnectError as RequestService.SubmitRequest says
 */
export async function submitRequest(
  sources: SubmitSources,
  { engine, token }: Leading,
  request: SubmitRequestRequest,
  signal: AbortSignal,
): Promise<{ request: Request; created: boolean }> {
  const { store } = sources;
  const digest = contentDigest(request);
  const planned = await planOrFind(sources, request, signal);
  const there = (found: Request) => {
    if (!engine.drives(found.requestId)) engine.suspect();
    return { request: found, created: false };
  };
  if ("found" in planned) return there(planned.found);
  const asked = newRequest(planned, {
    idempotencyKey: request.idempotencyKey || randomUUID(),
    contentDigest: digest,
    context: request.context || planned.context,
    options: request.options ?? create(RequestOptionsSchema),
    schedulerToken: token,
  });
  const making = beginMaking(engine, planned, asked);
  const messages = createRequestMessages(asked, making.releases);
  const limits = making.releases.length > 0 ? { signal, timeoutMs: longestMs } : { signal };
  const answer = await store.createRequest(messages, limits).catch((error: unknown) => {
    // It may be made all the same, and its hosts are kept for it until that is known.
    if (refusals.has(ConnectError.from(error).code)) making.end();
    else engine.suspectYet(making.end);
    throw error;
  });
  const { request: made, created, taskIds, commands } = answer;
  if (made !== undefined && created && taskIds.length === 0) {
    engine.suspect(making.end);
    return { request: made, created };
  }
  try {
    if (made === undefined) throw new ConnectError("the store's answer is empty", Code.Internal);
    if (!created) return there(made);
    const sessions = new Map(
      making.releases.map(({ task, sessionEpoch }) => [taskIds[task], sessionEpoch]),
    );
    const released = new Map(commands.map(({ taskId }) => [taskId, sessions.get(taskId) ?? 0n]));
    engine.add(contentsOf(planned, made, taskIds, released), commands);
    return { request: made, created };
  } finally {
    making.end();
  }
}

/** How long hosts are kept for what is released with a request, however long its maker would wait: for a database that hangs, hours. */
const longestMs = 30_000;

/** After these nothing was stored. */
const refusals: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.AlreadyExists]);

/** Has the engine say what is released as the request is stored. */
function beginMaking(engine: Engine, planned: PlannedRequest, asked: NewRequest): Making {
  const { mostReleases: most, tasks } = asked;
  const hostIds = new Set(tasks.map(({ hostId }) => hostId));
  return engine.make(hostIds, most === 0 ? undefined : { draft: draftOf(planned, asked), most });
}

/**
 * Plans a request. When that fails it may have been made already, and be what is in the way: then it is given. When it does not fail the
 * store finds that out, which spares the question.
 */
async function planOrFind(
  sources: SubmitSources,
  request: SubmitRequestRequest,
  signal: AbortSignal,
): Promise<PlannedRequest | { readonly found: Request }> {
  try {
    const planned = await planChecked(sources, request.operation, request.options, signal);
    refuseEmpty(planned);
    return planned;
  } catch (error) {
    if (request.idempotencyKey === "") throw error;
    const found = await findRequest(sources.store, request, signal);
    if (found === undefined) throw error;
    return { found };
  }
}

/** The request that was made with this key and content; undefined when there is none. */
export async function findRequest(
  store: SubmitSources["store"],
  request: SubmitRequestRequest,
  signal: AbortSignal,
): Promise<Request | undefined> {
  const { idempotencyKey } = request;
  const key = { idempotencyKey, contentDigest: contentDigest(request) };
  return (await store.findRequest(key, { signal })).request;
}

/** Throws FAILED_PRECONDITION when a plan has nothing in it. */
export function refuseEmpty({ plan, unchangedAre }: PlannedRequest): void {
  if (plan.stages.length > 0) return;
  const { unchanged } = plan;
  const skipped = skippedOf(plan).map(({ hostName, reason }) => `${hostName} (${reason})`);
  const left = skipped.length > 0 ? `all other hosts are left out: ${shorten(skipped)}` : "";
  if (unchanged === 0) throw nothingToDo(left.replace("all other", "all") || "nothing fits it");
  const done = `${unchanged === 1 ? "1 component is" : `${unchanged} components are`} ${unchangedAre}`;
  if (left !== "") throw nothingToDo(`${done}; ${left}`);
  const error = nothingToDo(
    `${unchanged === 1 ? "the only component is" : `all ${unchanged} components are`} ${unchangedAre}`,
  );
  error.details.push({ desc: NothingToDoSchema, value: { unchanged } });
  throw error;
}

function nothingToDo(why: string): ConnectError {
  return new ConnectError(`there is nothing to do: ${why}`, Code.FailedPrecondition);
}
