import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  OperationSchema,
  RequestOptionsSchema,
  SkippedHost,
} from "@howdah/proto/howdah/v1/operation";
import type { Request } from "@howdah/proto/howdah/v1/request";
import { CliError, mayPass } from "./cli-error.js";
import { ExitCode } from "./exit-code.js";
import type { Session } from "./session.js";
import { plural } from "./text/words.js";

/** What is asked for. */
export interface Submission {
  operation: MessageInitShape<typeof OperationSchema>;
  options: MessageInitShape<typeof RequestOptionsSchema>;
  /** The same key never runs twice. Default: a new one. */
  key?: string | undefined;
  /** For people. Default: the server makes one. */
  context?: string | undefined;
}

const tries = 3;

/**
 * Submits an operation; when the answer is lost it is asked for again under the same key, so that it runs once.
 */
export async function submit(session: Session, submission: Submission): Promise<Request> {
  const { operation, options, context = "" } = submission;
  const idempotencyKey = submission.key ?? `cli-${randomUUID()}`;
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await session.requests.submitRequest(
        { idempotencyKey, context, operation, options },
        { signal: session.io.interrupted },
      );
      if (answer.request === undefined) throw new Error("the server answered without a request");
      if (!session.json) session.io.err(skippedLine(answer.request.skippedHosts));
      if (!session.json) session.io.err(windowLine(options.window));
      return answer.request;
    } catch (error) {
      if (session.io.interrupted.aborted) {
        throw new CliError(
          `interrupted; it may run: the same command with --key ${idempotencyKey} finds it, and runs it if it does not`,
          ExitCode.interrupted,
        );
      }
      if (!mayPass(error) || attempt === tries) throw error;
    }
  }
}

/** Says that a request waits for its maintenance window; empty where it has none. */
export function windowLine(window = ""): string {
  if (window === "") return "";
  return `it runs only while window ${window} is open; howdah window list says when\n`;
}

/** Says which hosts a plan leaves out; empty for none. */
export function skippedLine(skipped: readonly SkippedHost[]): string {
  if (skipped.length === 0) return "";
  const some = skipped.slice(0, 3).map(({ hostName, reason }) => `${hostName} (${reason})`);
  const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : "";
  return `${plural(skipped.length, "host is", "hosts are")} left out: ${some.join(", ")}${more}\n`;
}
