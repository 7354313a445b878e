/**
 * Whether a command is to be cancelled. The signal is made when somebody first asks for it: it takes a share of a short command's time
 * that shows, and what lasts no time has nobody who listens.
 */
export class Cancel {
  /** Makes its own signal only then, too. */
  private readonly controller = new AbortController();
  private firstReason: string | undefined;

  /** The first reason holds. */
  abort(reason: string): void {
    this.firstReason ??= reason;
    this.controller.abort(reason);
  }

  /** Why; undefined as long as nobody cancelled. */
  get reason(): string | undefined {
    return this.firstReason;
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }
}
