import type { StackDefinition_StackService as StackService } from "@howdah/proto/howdah/v1/stack";
import { InvalidOperationError, type Operation, shorten } from "./operation.js";
import { checkRoleOf } from "./service-check.js";

const halfIsEnough = new Set(["DATANODE", "TASKTRACKER", "GANGLIA_MONITOR", "HBASE_REGIONSERVER"]);

/** The share of a role's tasks that must succeed: what the operation says, else Ambari's defaults. */
export function successFactorOf(role: string, operation: Operation): number {
  const stated = operation.successFactors;
  if (!stated || !Object.hasOwn(stated, role)) return halfIsEnough.has(role) ? 0.5 : 1;
  const factor = stated[role] ?? Number.NaN;
  if (factor >= 0 && factor <= 1) return factor;
  throw new InvalidOperationError("successFactors", `${role} has ${factor}; it must be 0 to 1`);
}

/**
 * Refuses success factors of what is no role of the services, nor the check of one: a name that is spelt wrong would not protect
 * anything. A role that this plan happens to leave out may have one.
 */
export function checkSuccessFactors(operation: Operation, services: readonly StackService[]): void {
  const stated = Object.keys(operation.successFactors ?? {});
  if (stated.length === 0) return;
  const roles = services.flatMap(({ name, components }) => [
    ...components.map((component) => component.name),
    checkRoleOf(name),
  ]);
  const unknown = stated.find((role) => !roles.includes(role));
  if (unknown === undefined) return;
  const names = shorten(services.map(({ name }) => name));
  throw new InvalidOperationError(
    "successFactors",
    `${unknown} is no role of ${names}; there are ${shorten(roles)}`,
  );
}
