import type { ComponentStatus } from "@howdah/proto/howdah/v1/agent_service";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";

/** More components no host has. */
export const maxStatuses = 1_000;
const maxName = 255;

/** What is wrong with what an agent says about a component, by the name of the field; undefined when nothing is. */
export function statusProblem({
  clusterId,
  componentName,
  state,
}: ComponentStatus): string | undefined {
  if (clusterId <= 0n) return `cluster_id: ${clusterId} is no cluster`;
  if (componentName === "") return "component_name: it is empty";
  if (componentName.length > maxName) {
    return `component_name: ${componentName.length} characters, at most ${maxName}`;
  }
  if (state === ComponentState.STARTED || state === ComponentState.INSTALLED) return undefined;
  return `state: ${ComponentState[state] ?? state} is not for an agent to say`;
}
