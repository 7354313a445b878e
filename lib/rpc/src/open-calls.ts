import type { ConnectError } from "@connectrpc/connect";

/** A call being served. */
export interface OpenCall {
  /** The server is shutting down: what waits for more from the client ends with `reason`; a call that will be answered goes on. */
  drain(reason: ConnectError): void;
  /** Ends the call with `reason`: at once for the client, and through its context's signal for the handler. */
  end(reason: ConnectError): void;
}

/** The calls that a server serves now. */
export class OpenCalls {
  private readonly calls = new Set<OpenCall>();
  private draining: ConnectError | undefined;

  /** How many there are. */
  get size(): number {
    return this.calls.size;
  }

  /** A call has begun. */
  add(call: OpenCall): void {
    this.calls.add(call);
    if (this.draining !== undefined) call.drain(this.draining);
  }

  /** A call is over. */
  delete(call: OpenCall): void {
    this.calls.delete(call);
  }

  /** Drains all calls, and those that come yet. */
  drain(reason: ConnectError): void {
    this.draining = reason;
    for (const call of this.calls) call.drain(reason);
  }

  /** Ends all calls. */
  end(reason: ConnectError): void {
    for (const call of this.calls) call.end(reason);
  }
}
