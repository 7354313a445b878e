import { create } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { Plan } from "./planner/plan-operation.js";

/** The role of the step in which a person confirms a request. */
export const confirmRole = "CONFIRM";

/**
 * The plan with a manual step before everything else; itself without a text, or with nothing to do. The step has one task, as everything
 * has: on the plan's first host, where nothing is sent for it.
 */
export function confirmFirst(plan: Plan, text: string | undefined): Plan {
  const host = plan.stages[0]?.roles[0]?.hosts[0];
  if (!text || host === undefined) return plan;
  const role = {
    id: `${confirmRole}-ACTIONEXECUTE`,
    role: confirmRole,
    roleCommand: RoleCommand.ACTIONEXECUTE,
    customCommand: "",
    hosts: [host],
    successFactor: 1,
    spec: create(CommandSpecSchema, { commandParams: { text } }),
    blockers: [],
    manual: true,
  };
  return { ...plan, stages: [{ roles: [role] }, ...plan.stages] };
}
