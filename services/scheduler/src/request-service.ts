import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
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
import { explainRequest } from "./explain-request.js";
import { explainTask } from "./explain-task.js";
import { NotLeadingError } from "./not-leading.js";
import { skippedOf } from "./planned-request.js";
import type { PlannedRole } from "./planner/plan-operation.js";
import { retryRequest } from "./retry-request.js";
import { cancelRequest, pauseRequest, resolveTasks } from "./steer-request.js";
import { type Leading, planChecked, type SubmitSources, submitRequest } from "./submit-request.js";

/** What the service needs. */
export interface RequestServiceOptions extends SubmitSources {
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
      const { plan } = await planChecked(options, operation, how, context.signal);
      return {
        stages: plan.stages.map(({ roles }) => ({ roles: roles.map(toPlannedRole) })),
        skippedHosts: skippedOf(plan),
        unchanged: plan.unchanged,
      };
    },

    async submitRequest(request, context) {
      checkSubmit(request);
      return submitRequest(options, requireLeading(), request, context.signal);
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

    async explainRequest({ requestId }, { signal }) {
      checkRequestId(requestId);
      return explainRequest(requireSteering(), requestId, signal);
    },
  };
}

/** Gives a request that came without a key one of its own, so that it can be submitted twice and is made once. */
export function withIdempotencyKey(request: SubmitRequestRequest): SubmitRequestRequest {
  return { ...request, idempotencyKey: request.idempotencyKey || randomUUID() };
}

function toPlannedRole(planned: PlannedRole): MessageInitShape<typeof PlannedRoleSchema> {
  const { role, roleCommand, customCommand, successFactor, hosts } = planned;
  return {
    role: { role, roleCommand, customCommand, successFactor, counts: { total: hosts.length } },
    hostNames: [...hosts],
  };
}
