const problems: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ETIMEDOUT: "timed out",
  ENOTFOUND: "the name of the host is not known",
  EAI_AGAIN: "the name of the host cannot be looked up now",
};

/** What went wrong with a connection, in a few words. */
export function connectionProblem(error: unknown): string {
  // Where a name has several addresses the first problem stands for all.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code = "", message } = first as NodeJS.ErrnoException;
  return problems[code] ?? (message.split("\n", 1)[0] || code || "it failed");
}
