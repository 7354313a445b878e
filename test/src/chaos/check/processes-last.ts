import type { Check } from "./violation.js";

/**
 * No process ends by itself, and none takes far more memory than it should: what is killed or cut off is the test's doing alone.
 *
 * Sees what the test saw each second. Cannot see a process that grows slowly: a run is short.
 */
export const processesLast: Check = ({ ailments }) =>
  ailments.map((what) => ({ rule: "processes last", what }));
