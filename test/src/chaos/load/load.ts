import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ProgressSighting, Submission, Word } from "../check/history.js";
import type { Random } from "../random.js";
import { uptimeMs } from "../uptime.js";
import { createSpeaker, lookAfter } from "./look-after.js";
import { type LoadGround, operationKinds, type PlannedOperation } from "./operation-kinds.js";
import { callTimeoutMs, isRefusal, type Operators } from "./operators.js";
import { watchRequest } from "./watch-request.js";

/** Operators at work. */
export interface Load {
  readonly submissions: readonly Submission[];
  readonly words: readonly Word[];
  readonly progress: readonly ProgressSighting[];
  /** How many operations were acknowledged, by kind. */
  readonly counts: ReadonlyMap<string, number>;
  /** Begins nothing new, and waits until every submission and cancel under way is answered. */
  stop(): Promise<void>;
}

export interface LoadOptions {
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
  const submissions: Submission[] = [];
  const words: Word[] = [];
  const progress: ProgressSighting[] = [];
  const counts = new Map<string, number>();
  const speaker = createSpeaker(operators, words);
  /** Requests that an operator looks after until they are over. */
  const tended: Promise<void>[] = [];
  const runId = random.fork("keys").between(0, 1e9).toString(36);

  /** Calls once, and keeps what was answered. */
  async function submit(
    key: string,
    context: string,
    planned: PlannedOperation,
  ): Promise<Submission> {
    const { request, asked, kind } = planned;
    const atMs = uptimeMs();
    const content = JSON.stringify(planned, (_, value) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    const known = { atMs, key, content, asked: { ...asked, context } };
    let submission: Submission;
    try {
      const message = { ...request, idempotencyKey: key, context };
      const answer = await operators.door().requests.submitRequest(message);
      const requestId = Number(answer.request?.requestId ?? 0);
      submission = {
        ...known,
        answer: { kind: "acknowledged", requestId, created: answer.created },
      };
      if (answer.created) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    } catch (error) {
      const code = Code[ConnectError.from(error).code];
      submission = {
        ...known,
        answer: { kind: isRefusal(error) ? "refused" : "unanswered", code },
      };
    }
    submissions.push(submission);
    return submission;
  }

  /** Calls until it is answered, however long that takes: the key makes it safe. */
  async function submitForSure(
    key: string,
    context: string,
    planned: PlannedOperation,
  ): Promise<number | undefined> {
    for (;;) {
      const { answer } = await submit(key, context, planned);
      if (answer.kind === "acknowledged") return answer.requestId;
      if (answer.kind === "refused") return undefined;
      await sleep(300);
    }
  }

  async function cancel(requestId: number, afterMs: number): Promise<void> {
    await sleep(afterMs);
    const message = { requestId: BigInt(requestId), reason: "the test has changed its mind" };
    await speaker.say("cancel", requestId, ({ requests }) => requests.cancelRequest(message));
  }

  async function pause(requestId: number, afterMs: number): Promise<void> {
    await sleep(afterMs);
    const id = { requestId: BigInt(requestId) };
    await speaker.say("pause", requestId, ({ requests }) => requests.pauseRequest(id));
    // Also when no answer came: it may have been heard.
    tended.push(lookAfter(operators, speaker, requestId, random, stopping.signal));
  }

  /** Runs what has failed once more, if anything did. */
  async function retry(requestId: number): Promise<void> {
    const id = { requestId: BigInt(requestId) };
    await speaker.say("retry", requestId, ({ requests }) => requests.retryRequest(id));
    tended.push(lookAfter(operators, speaker, requestId, random, stopping.signal));
  }

  async function operate(own: Random, name: string): Promise<void> {
    for (let n = 1; !stopping.signal.aborted; n += 1) {
      const planned = own.pick(operationKinds)(own, ground);
      const key = `${runId}-${name}-${n}`;
      const context = `${planned.kind} ${key}`;
      const likely = [0.15, 0.05, 0.12, 0.4, 0.08, 0.3];
      const [repeats, mistakes, cancels, watches, pauses, tries] = likely.map((p) => own.chance(p));
      const afterMs = own.between(0, 3_000);
      const other = own.pick(operationKinds)(own, ground);
      const restMs = own.between(0, 1_000);
      const [requestId] = await Promise.all([
        submitForSure(key, context, planned),
        // The same call a second time, as a caller that lost patience makes it.
        repeats ? submitForSure(key, context, planned) : undefined,
      ]);
      if (requestId !== undefined) {
        if (planned.asked.onFailure === "HOLD" || planned.kind === "rolling") {
          tended.push(lookAfter(operators, speaker, requestId, own.fork(key), stopping.signal));
        }
        const over = AbortSignal.any([stopping.signal, AbortSignal.timeout(patienceMs)]);
        await Promise.all([
          watchRequest(
            operators,
            requestId,
            watches ? `watcher ${name}` : undefined,
            progress,
            over,
          ),
          mistakes ? submitForSure(key, `${context}, not the same`, other) : undefined,
          cancels ? cancel(requestId, afterMs) : undefined,
          pauses ? pause(requestId, afterMs) : undefined,
        ]);
        if (tries && !stopping.signal.aborted) await retry(requestId);
      }
      await sleep(restMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const operating = Array.from({ length: operatorCount }, (_, n) =>
    operate(random.fork(`operator ${n}`), `operator-${n + 1}`),
  );

  return {
    submissions,
    words,
    progress,
    counts,
    async stop() {
      stopping.abort();
      let answered = false;
      const all = async () => {
        await Promise.all(operating);
        answered = true;
        await Promise.allSettled(tended);
      };
      const late = new AbortController();
      const timeout = sleep(20 * callTimeoutMs, undefined, { signal: late.signal });
      // A request that is not over then is for the checks.
      await Promise.race([all(), timeout.catch(() => undefined)]);
      late.abort();
      if (!answered) throw new Error("an operator's call has no answer although all is well again");
    },
  };
}
