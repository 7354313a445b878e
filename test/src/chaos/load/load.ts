import { setMaxListeners } from "node:events";
import type { ProgressSighting, Submission, Word } from "../check/history.js";
import type { Random } from "../random.js";
import { rest } from "../rest.js";
import { createSpeaker, lookAfter } from "./look-after.js";
import { type LoadGround, operationKinds } from "./operation-kinds.js";
import { callTimeoutMs, type Operators } from "./operators.js";
import { createSubmitter } from "./submitter.js";
import { watchRequest } from "./watch-request.js";

/** Operators at work. */
export interface Load {
  readonly submissions: readonly Submission[];
  readonly words: readonly Word[];
  readonly progress: readonly ProgressSighting[];
  /** How many operations were acknowledged, by kind. */
  readonly counts: ReadonlyMap<string, number>;
  /**
   * Begins nothing new, and waits until every call under way is answered and, for so long as a request may take to end, until all
   * that an operator looks after is over. Throws what an operator has thrown.
   */
  stop(): Promise<void>;
  /** Resolves when nobody does anything any more: soon after the doors were closed. Never rejects. */
  ended(): Promise<void>;
}

/** Who works how. */
export interface LoadOptions {
  /** Once its doors are closed all operators go home. */
  readonly operators: Operators;
  readonly ground: LoadGround;
  readonly random: Random;
  /** So many operators, each with one request at a time. Default 12. */
  readonly operatorCount?: number;
  /** After so long an operator turns to something new although his request is not over. Default 20,000. */
  readonly patienceMs?: number;
}

/** Starts operators that ask for one operation after the other, cancel some, repeat some calls, and watch some. */
export function startLoad(options: LoadOptions): Load {
  const { operators, ground, random, operatorCount = 12, patienceMs = 20_000 } = options;
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one for each who waits
  const words: Word[] = [];
  const progress: ProgressSighting[] = [];
  const speaker = createSpeaker(operators, words);
  const { submissions, counts, submit } = createSubmitter(operators);
  const runId = random.fork("keys").between(0, 1e9).toString(36);
  /** Requests that an operator looks after until they are over. */
  const tended: Promise<void>[] = [];
  const errors: unknown[] = [];

  function tend(requestId: number, own: Random): void {
    const until = stopping.signal;
    const looking = lookAfter(operators, speaker, requestId, own.fork("tend"), until);
    tended.push(looking.catch((error: unknown) => void errors.push(error)));
  }

  async function cancel(requestId: number, afterMs: number): Promise<void> {
    await rest(afterMs, operators.closed);
    const message = { requestId: BigInt(requestId), reason: "the test has changed its mind" };
    await speaker.say("cancel", requestId, ({ requests }) => requests.cancelRequest(message));
  }

  async function pause(requestId: number, afterMs: number, own: Random): Promise<void> {
    await rest(afterMs, operators.closed);
    const id = { requestId: BigInt(requestId) };
    await speaker.say("pause", requestId, ({ requests }) => requests.pauseRequest(id));
    // Also when no answer came: it may have been heard.
    tend(requestId, own);
  }

  /** Runs what has failed once more, if anything did; now and then also what nobody knows the end of. */
  async function retry(requestId: number, own: Random): Promise<void> {
    const message = { requestId: BigInt(requestId), force: own.chance(0.3) };
    await speaker.say("retry", requestId, ({ requests }) => requests.retryRequest(message));
    tend(requestId, own);
  }

  async function operate(own: Random, name: string): Promise<void> {
    for (let n = 1; !stopping.signal.aborted; n += 1) {
      const planned = own.pick(operationKinds)(own, ground);
      const key = `${runId}-${name}-${n}`;
      const context = `${planned.kind} ${key}`;
      const likely = [0.15, 0.05, 0.12, 0.4, planned.kind === "rolling" ? 0.4 : 0.08, 0.3];
      const [repeats, mistakes, cancels, watches, pauses, tries] = likely.map((p) => own.chance(p));
      const afterMs = own.between(0, 3_000);
      const other = own.pick(operationKinds)(own, ground);
      const restMs = own.between(0, 1_000);
      const [requestId] = await Promise.all([
        submit(key, context, planned),
        // The same call a second time, as a caller that lost patience makes it.
        repeats ? submit(key, context, planned) : undefined,
      ]);
      if (requestId !== undefined) {
        if (planned.asked.onFailure === "HOLD" || planned.kind === "rolling") tend(requestId, own);
        const watcher = watches ? `watcher ${name}` : undefined;
        const over = AbortSignal.any([stopping.signal, AbortSignal.timeout(patienceMs)]);
        await Promise.all([
          watchRequest(operators, requestId, watcher, progress, over),
          mistakes ? submit(key, `${context}, not the same`, other) : undefined,
          cancels ? cancel(requestId, afterMs) : undefined,
          pauses ? pause(requestId, afterMs, own) : undefined,
        ]);
        if (tries && !stopping.signal.aborted) await retry(requestId, own);
      }
      await rest(restMs, stopping.signal);
    }
  }
  const operating = Promise.all(
    Array.from({ length: operatorCount }, async (_, n) => {
      const name = `operator-${n + 1}`;
      await operate(random.fork(name), name).catch((error: unknown) => void errors.push(error));
    }),
  );
  /** Also what nobody looks after: a retry that had no answer and came to be all the same. */
  async function tendTheRest(): Promise<void> {
    const open = { unfinishedOnly: true, pageSize: 1_000 };
    const { requests } = await operators.insist(({ store }) => store.listRequests(open));
    for (const { requestId } of requests) tend(Number(requestId), random);
  }
  const ended = async () => {
    stopping.abort();
    await operating;
    if (!operators.closed.aborted) {
      await tendTheRest().catch((error: unknown) => void errors.push(error));
    }
    await Promise.all(tended);
  };

  return {
    ...{ submissions, words, progress, counts, ended },
    async stop() {
      stopping.abort();
      let answered = false;
      void operating.then(() => {
        answered = true;
      });
      const waited = new AbortController();
      const enough = AbortSignal.any([waited.signal, operators.closed]);
      const tooLate = rest(20 * callTimeoutMs, enough);
      // A request that is not over then is for the checks.
      await Promise.race([ended(), tooLate]);
      waited.abort();
      if (errors.length > 0) throw errors[0];
      if (!answered) throw new Error("an operator's call has no answer although all is well again");
    },
  };
}
