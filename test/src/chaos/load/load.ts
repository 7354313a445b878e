import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ProgressSighting, Submission, Word } from "../check/history.js";
import type { Random } from "../random.js";
import { uptimeMs } from "../uptime.js";
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

  async function cancel(requestId: number): Promise<void> {
    const atMs = uptimeMs();
    const reason = "the test has changed its mind";
    const acknowledged = await operators
      .door()
      .requests.cancelRequest({ requestId: BigInt(requestId), reason })
      .then(
        () => true,
        () => false,
      );
    words.push({ atMs, requestId, kind: "cancel", acknowledged });
  }

  async function operate(own: Random, name: string): Promise<void> {
    for (let n = 1; !stopping.signal.aborted; n += 1) {
      const planned = own.pick(operationKinds)(own, ground);
      const key = `${runId}-${name}-${n}`;
      const context = `${planned.kind} ${key}`;
      const [repeats, mistakes, cancels, watches] = [0.15, 0.05, 0.12, 0.4].map((p) =>
        own.chance(p),
      );
      const cancelAfterMs = own.between(0, 3_000);
      const other = own.pick(operationKinds)(own, ground);
      const restMs = own.between(0, 1_000);
      const [requestId] = await Promise.all([
        submitForSure(key, context, planned),
        // The same call a second time, as a caller that lost patience makes it.
        repeats ? submitForSure(key, context, planned) : undefined,
      ]);
      if (requestId !== undefined) {
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
          cancels ? sleep(cancelAfterMs).then(() => cancel(requestId)) : undefined,
        ]);
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
      await Promise.race([
        Promise.all(operating),
        sleep(20 * callTimeoutMs).then(() => {
          throw new Error("an operator's call was not answered although all is well again");
        }),
      ]);
    },
  };
}
