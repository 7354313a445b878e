import { Code, ConnectError } from "@connectrpc/connect";
import type { Submission } from "../check/history.js";
import { rest } from "../rest.js";
import { uptimeMs } from "../uptime.js";
import type { PlannedOperation } from "./operation-kinds.js";
import { isRefusal, type Operators } from "./operators.js";

/** Asks for operations and writes down what was answered. */
export interface Submitter {
  readonly submissions: readonly Submission[];
  /** How many operations were acknowledged, by kind. */
  readonly counts: ReadonlyMap<string, number>;
  /**
   * Asks until it is answered, however long that takes: the key makes it safe.
   * @returns the request's id; undefined when it was refused, or the doors were closed
   */
  submit(key: string, context: string, planned: PlannedOperation): Promise<number | undefined>;
}

/** Makes a submitter. */
export function createSubmitter(operators: Operators): Submitter {
  const submissions: Submission[] = [];
  const counts = new Map<string, number>();

  async function call(
    key: string,
    context: string,
    { request, asked, kind }: PlannedOperation,
    content: string,
  ): Promise<Submission["answer"]> {
    const atMs = uptimeMs();
    let answer: Submission["answer"];
    try {
      const message = { ...request, idempotencyKey: key, context };
      const { request: made, created } = await operators.door().requests.submitRequest(message);
      answer = { kind: "acknowledged", requestId: Number(made?.requestId ?? 0), created };
      if (created) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    } catch (error) {
      const code = Code[ConnectError.from(error).code];
      answer = { kind: isRefusal(error) ? "refused" : "unanswered", code };
    }
    const answeredMs = uptimeMs();
    submissions.push({ atMs, answeredMs, key, content, asked: { ...asked, context }, answer });
    return answer;
  }

  return {
    submissions,
    counts,
    async submit(key, context, planned) {
      const content = JSON.stringify(planned, (_, value) =>
        typeof value === "bigint" ? `${value}` : value,
      );
      while (!operators.closed.aborted) {
        const answer = await call(key, context, planned, content);
        if (answer.kind === "acknowledged") return answer.requestId;
        if (answer.kind === "refused") return undefined;
        await rest(300, operators.closed);
      }
      return undefined;
    },
  };
}
