import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type {
  PlannedRoleSchema,
  RequestService,
  SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import {
  checkPlan,
  checkReason,
  checkRequestId,
  checkResolution,
  checkSubmit,
  checkTaskId,
} from "./check-request.js";
import type { PlanningSources } from "./cluster-input.js";
import { contentDigest } from "./content-digest.js";
import { checkBatches, contentsOf, createRequestMessages } from "./create-request.js";
import type { Engine } from "./engine/engine.js";
import { explainTask } from "./explain-task.js";
import { NotLeadingError } from "./not-leading.js";
import { type PlannedRequest, planRequest, skippedOf } from "./plan-request.js";
import { shorten } from "./planner/operation.js";
import type { PlannedRole } from "./planner/plan-operation.js";
import { retryRequest } from "./retry-request.js";
import { cancelRequest, pauseRequest, resolveTasks } from "./steer-request.js";

/** The engine while this scheduler leads. */
export interface Leading {
  readonly engine: Engine;
  readonly token: bigint;
}

/** What the service needs. */
export interface RequestServiceOptions extends PlanningSources {
  readonly store: Client<typeof CommandStoreService>;
  /** The engine, or undefined while another scheduler leads. */
  readonly leading: () => Leading | undefined;
}

/** Plans operations and hands them to the store and the engine. */
export function createRequestService(
  options: RequestServiceOptions,
): Partial<ServiceImpl<typeof RequestService>> {
  const { store } = options;

  const requireLeading = (): Leading => {
    const leading = options.leading();
    if (leading !== undefined) return leading;
    throw new NotLeadingError(
      "this scheduler stands by and another one leads, or is about to",
      "no",
    );
  };

  const requireSteering = () => ({ store, engine: requireLeading().engine });

  return {
    async planRequest(request, context) {
      checkPlan(request);
      const { operation, options: how } = request;
      const planned = await planRequest(options, operation, how, context.signal);
      checkBatches(planned, how);
      const { plan } = planned;
      return {
        stages: plan.stages.map(({ roles }) => ({ roles: roles.map(toPlannedRole) })),
        skippedHosts: skippedOf(plan),
      };
    },

    async submitRequest(request, context) {
      checkSubmit(request);
      const { engine, token } = requireLeading();
      const { signal } = context;
      const digest = contentDigest(request);
      const planning = planRequest(options, request.operation, request.options, signal);
      if (request.idempotencyKey !== "") {
        // Meanwhile planning may fail: a request that is there is answered all the same.
        planning.catch(() => undefined);
        const key = { idempotencyKey: request.idempotencyKey, contentDigest: digest };
        const { request: found } = await store.findRequest(key, { signal });
        if (found !== undefined) return { request: found, created: false };
      }
      const planned = await planning;
      refuseEmpty(planned);
      checkBatches(planned, request.options);
      const messages = createRequestMessages(planned, {
        idempotencyKey: request.idempotencyKey || randomUUID(),
        contentDigest: digest,
        context: request.context || planned.context,
        options: request.options ?? create(RequestOptionsSchema),
        schedulerToken: token,
      });
      const { request: made, created, taskIds } = await store.createRequest(messages, { signal });
      if (made === undefined) throw new ConnectError("the store's answer is empty", Code.Internal);
      if (created) engine.add(contentsOf(planned, made, taskIds));
      return { request: made, created };
    },

    async cancelRequest({ requestId, reason }, { signal }) {
      checkRequestId(requestId);
      checkReason(reason);
      return { request: await cancelRequest(requireSteering(), requestId, reason, signal) };
    },

    async retryRequest(request, { signal }) {
      checkRequestId(request.requestId);
      const retrying = { ...options, ...requireLeading() };
      return { request: await retryRequest(retrying, request, signal) };
    },

    async pauseRequest({ requestId }, { signal }) {
      checkRequestId(requestId);
      return { request: await pauseRequest(requireSteering(), requestId, true, signal) };
    },

    async resumeRequest({ requestId }, { signal }) {
      checkRequestId(requestId);
      return { request: await pauseRequest(requireSteering(), requestId, false, signal) };
    },

    async resolveTasks({ requestId, taskIds, resolution }, { signal }) {
      checkRequestId(requestId);
      const said = checkResolution(resolution);
      return resolveTasks(requireSteering(), { requestId, taskIds, resolution: said }, signal);
    },

    async explainTask({ taskId }, { signal }) {
      checkTaskId(taskId);
      return explainTask(requireSteering(), taskId, signal);
    },
  };
}

/** Gives a request that came without a key one of its own, so that it can be submitted twice and is made once. */
export function withIdempotencyKey(request: SubmitRequestRequest): SubmitRequestRequest {
  return { ...request, idempotencyKey: request.idempotencyKey || randomUUID() };
}

function refuseEmpty({ plan }: PlannedRequest): void {
  if (plan.stages.length > 0) return;
  const skipped = skippedOf(plan).map(({ hostName, reason }) => `${hostName} (${reason})`);
  const why =
    skipped.length > 0 ? `all hosts are left out: ${shorten(skipped)}` : "nothing fits it";
  throw new ConnectError(`there is nothing to do: ${why}`, Code.FailedPrecondition);
}

function toPlannedRole(planned: PlannedRole): MessageInitShape<typeof PlannedRoleSchema> {
  const { role, roleCommand, customCommand, successFactor, hosts } = planned;
  return {
    role: { role, roleCommand, customCommand, successFactor, counts: { total: hosts.length } },
    hostNames: [...hosts],
  };
}
