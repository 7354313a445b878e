import type { Daemon } from "./history.js";
import type { Check } from "./violation.js";

const rule = "auto start: what should run runs, and is started once";

/**
 * A daemon that should run is started by its agent once all is healed, and never while it runs or is being started.
 *
 * Sees: what does not run in the end, or of which the store says otherwise; a START that found it running, or began while another one had
 * not ended. Cannot see: that one was started too late.
 */
export const daemonsRun: Check = ({ daemons, crashes }) =>
  daemons.flatMap(({ host, runs, stored, lines }) => {
    const found = startedTwice({ lines }, (fromMs, toMs) =>
      crashes.some((crash) => crash.host === host && crash.atMs >= fromMs && crash.atMs <= toMs),
    );
    if (!runs) found.push("does not run in the end");
    if (stored !== "STARTED") found.push(`is ${stored} in the store in the end`);
    return found.map((what) => ({ rule, what: `the daemon of ${host} ${what}` }));
  });

function startedTwice(
  { lines }: Pick<Daemon, "lines">,
  crashed: (fromMs: number, toMs: number) => boolean,
): string[] {
  const found: string[] = [];
  let open: { readonly pid: number; readonly atMs: number } | undefined;
  for (const { kind, pid, atMs, wasUp } of lines) {
    if (kind === "end") {
      if (open?.pid === pid) open = undefined;
      continue;
    }
    if (wasUp === true) found.push(`was started at ${atMs} although it ran`);
    if (open !== undefined && !crashed(open.atMs, atMs)) {
      found.push(`was started at ${atMs}, while the START of ${open.atMs} had not ended`);
    }
    open = { pid, atMs };
  }
  return found;
}
