/** What a command may touch of the world; tests give their own. */
export interface Io {
  /** Writes to standard output as it is. */
  out(text: string): void;
  /** Writes to standard error as it is. */
  err(text: string): void;
  /** Whether standard output is a terminal, which can be redrawn and takes colour. */
  readonly isTerminal: boolean;
  /** How many characters a line of the terminal has. */
  columns(): number;
  /** How many lines the terminal has. */
  rows(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts at the first Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal;
}

/** This process's standard streams, environment and signals. A second Ctrl-C ends the process at once. */
export function processIo(): Io {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Error("interrupted"));
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  // The reader of a pipe (`| head`) may leave: nothing is left to say then.
  process.stdout.on("error", () => process.exit(0));
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true && process.env.TERM !== "dumb",
    columns: () => process.stdout.columns ?? 100,
    rows: () => process.stdout.rows ?? 40,
    env: process.env,
    interrupted: controller.signal,
  };
}
