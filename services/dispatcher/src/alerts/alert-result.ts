import { type AlertResult, AlertState } from "@howdah/proto/howdah/v1/alert";

/** More alerts no host has. */
export const maxResults = 1_000;
const maxText = 4_000;

/** What is wrong with what an agent says about an alert, by the name of the field; undefined when nothing is. */
export function resultProblem(result: AlertResult): string | undefined {
  const { clusterId, definitionId, state, ageMs, executionId } = result;
  if (clusterId <= 0n) return `cluster_id: ${clusterId} is no cluster`;
  // An answer to an execution may be that the host has no such alert.
  if (definitionId < 0n || (definitionId === 0n && executionId === 0n)) {
    return `definition_id: ${definitionId} is no definition`;
  }
  if (state === AlertState.UNSPECIFIED || !(state in AlertState)) {
    return `state: ${AlertState[state] ?? state} is not for an agent to say`;
  }
  if (ageMs < 0n) return `age_ms: ${ageMs} is in the future`;
  if (executionId < 0n) return `execution_id: ${executionId} is no execution`;
  return undefined;
}

/** A text of an alert, cut to what the store takes. */
export function cutText(text: string): string {
  // By code points, so that no character is cut in two; of a text without end only what may count.
  if (text.length <= maxText) return text;
  return [...text.slice(0, 2 * maxText)].slice(0, maxText).join("");
}
