/** A database under test: one server or a cluster. */
export interface Engine {
  readonly name: string;
  /** One for each node that serves writes; none has a database that must exist. */
  readonly urls: readonly string[];
  /** What is killed and comes back, for people. */
  readonly victim: string;
  /** SIGKILL to the node of the first URL. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it serves. */
  restart(): Promise<void>;
  /** Stops all and removes it. */
  stop(): Promise<void>;
}

/** Thrown when a machine cannot run an engine; the message says what is missing. */
export class CannotRunError extends Error {
  override readonly name = "CannotRunError";
}
