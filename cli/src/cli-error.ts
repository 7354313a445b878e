import { Code, ConnectError } from "@connectrpc/connect";
import { ExitCode } from "./exit-code.js";

/** Thrown when a command cannot go on; the message is one line that says what to do. */
export class CliError extends Error {
  override name = "CliError";
  constructor(
    message: string,
    readonly exitCode: number = ExitCode.refused,
  ) {
    super(message);
  }
}

/** The error of a command line that makes no sense. */
export function wrongUsage(message: string): CliError {
  return new CliError(message, ExitCode.usage);
}

const refusals = new Set([
  Code.NotFound,
  Code.InvalidArgument,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.ResourceExhausted,
  Code.Unimplemented,
]);

const unavailable = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Aborted]);

/** Whether calling again may have another answer: the server was away, not of another opinion. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof CliError) && !refusals.has(ConnectError.from(error).code);
}

/**
 * What to tell of an error, in one line, and the exit code that goes with it.
 * @param server the URL that was called
 */
export function explain(error: unknown, server: string): { message: string; exitCode: number } {
  if (error instanceof CliError) return error;
  if (!(error instanceof ConnectError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { message, exitCode: ExitCode.internal };
  }
  const problem = networkProblem(error);
  if (problem !== undefined) {
    return {
      message: `cannot reach ${server} (${problem}); \`howdah up\` starts Howdah on this machine, --server or HOWDAH_SERVER says where else it is`,
      exitCode: ExitCode.unavailable,
    };
  }
  const message = error.rawMessage || `the server answered ${Code[error.code]} without a reason`;
  if (refusals.has(error.code)) return { message, exitCode: ExitCode.refused };
  if (unavailable.has(error.code)) {
    return { message: `${message}; try again`, exitCode: ExitCode.unavailable };
  }
  return { message, exitCode: ExitCode.internal };
}

/** What the network said, where the error came from there and not from the server: Node's code, such as ECONNREFUSED. */
function networkProblem(error: ConnectError): string | undefined {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
  }
  return undefined;
}
