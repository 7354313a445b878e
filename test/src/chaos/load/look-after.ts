import { Resolution } from "@howdah/proto/howdah/v1/request_service";
import type { Word } from "../check/history.js";
import type { Random } from "../random.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import { type Door, isRefusal, type Operators } from "./operators.js";

/** A word of an operator about a request of his. */
export interface Speaker {
  /** Says it at one door and writes it down, answered or not. */
  say(kind: Word["kind"], requestId: number, how: (door: Door) => Promise<unknown>): Promise<void>;
}

/** @param words where to write down what was said */
export function createSpeaker(operators: Operators, words: Word[]): Speaker {
  return {
    async say(kind, requestId, how) {
      const atMs = uptimeMs();
      const acknowledged = await how(operators.door()).then(
        () => true,
        () => false,
      );
      words.push({ atMs, requestId, kind, acknowledged });
    },
  };
}

/**
 * Does what a request waits for a person to do, until it is over or the doors are closed: resolves held tasks and resumes it when it is
 * paused. Once `windingUp` aborts it gives up what is held, so that every request ends.
 */
export async function lookAfter(
  operators: Operators,
  speaker: Speaker,
  requestId: number,
  random: Random,
  windingUp: AbortSignal,
): Promise<void> {
  const id = { requestId: BigInt(requestId) };
  const kinds = [Resolution.RETRY, Resolution.SKIP, Resolution.ABORT];
  while (!operators.closed.aborted) {
    await rest(400, operators.closed);
    const resolution = windingUp.aborted ? Resolution.ABORT : random.pick(kinds);
    let request: Awaited<ReturnType<Door["store"]["getRequest"]>>["request"];
    try {
      ({ request } = await operators.insist(({ store }) => store.getRequest(id)));
    } catch (error) {
      if (isRefusal(error)) throw error;
      continue; // nobody has answered for a minute: once more
    }
    if (request === undefined || request.progressPercent === 100) return;
    if (request.paused) {
      await speaker.say("resume", requestId, ({ requests }) => requests.resumeRequest(id));
    }
    const { holdingFailed = 0, holdingTimedout = 0 } = request.counts ?? {};
    if (holdingFailed + holdingTimedout > 0) {
      const message = { ...id, resolution };
      await speaker.say("resolve", requestId, ({ requests }) => requests.resolveTasks(message));
    }
  }
}
