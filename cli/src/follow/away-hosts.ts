import { setTimeout as delay } from "node:timers/promises";
import type { AwayHost, ExplainRequestResponse } from "@howdah/proto/howdah/v1/request_service";
import type { Session } from "../session.js";
import { plural, spokenMs } from "../text/words.js";

/** How long a request is followed before it is asked what it waits for, and how often after that. */
export interface AwayHostsTimes {
  readonly firstMs: number;
  readonly everyMs: number;
}

const usual: AwayHostsTimes = { firstMs: 3_000, everyMs: 10_000 };
/** How many hosts are named. */
const named = 5;

/**
 * Tells, while a request is followed, which hosts it waits for since they are away, in a line; an empty line once it waits for none any
 * more. Told when other hosts are away than before, or one is lost by now. One small call every ten seconds, however many tasks it has.
 * @param signal ends it
 */
export async function watchAwayHosts(
  { requests }: Session,
  requestId: bigint,
  told: (line: string) => void,
  signal: AbortSignal,
  { firstMs, everyMs }: AwayHostsTimes = usual,
): Promise<void> {
  let before = "";
  for (let pauseMs = firstMs; ; pauseMs = everyMs) {
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // What is followed tells of its own when the server is away; an older server does not know the call.
    const answer = await requests.explainRequest({ requestId }, { signal }).catch(() => undefined);
    if (answer === undefined) continue;
    const now = `${answer.awayHostCount} ${answer.awayHosts.map(stateOf).join(" ")}`;
    if (now === before || (before === "" && answer.awayHostCount === 0)) continue;
    before = now;
    told(awayHostsLine(answer));
  }
}

function stateOf({ hostName, lost }: AwayHost): string {
  return `${hostName} ${lost}`;
}

/** "3 tasks wait for 2 hosts that are away: h1 (HEARTBEAT_LOST, 1 min 5 s), h2 (disconnected, 4 s)"; empty when none is away. */
export function awayHostsLine(answer: ExplainRequestResponse): string {
  const { awayHosts, awayHostCount: count, taskCount } = answer;
  if (count === 0) return "";
  const names = awayHosts
    .slice(0, named)
    .map(
      ({ hostName, lost, awayMs }) =>
        `${hostName} (${lost ? "HEARTBEAT_LOST" : "disconnected"}, ${spokenMs(Number(awayMs))})`,
    );
  const more = count > names.length ? ` and ${count - names.length} more` : "";
  const hosts = count === 1 ? "1 host that is away" : `${count} hosts that are away`;
  const wait = taskCount === 1 ? "waits" : "wait";
  return `${plural(taskCount, "task")} ${wait} for ${hosts}: ${names.join(", ")}${more}`;
}
