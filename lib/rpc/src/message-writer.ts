/** The outgoing half of a call. */
export interface MessageWriter {
  /**
   * Sends one encoded message. Returns undefined while the transport keeps up, else a promise that ends when it has
   * caught up, or throws the reason when the call fails meanwhile.
   */
  write(bytes: Buffer): Promise<void> | undefined;
  /** The pending or next write throws `error`: after a cancel the transport never says that it wrote anything. */
  fail(error: unknown): void;
}

/**
 * What a message costs beyond its bytes. It bounds the number of small messages on their way: thousands of them keep an
 * HTTP/2 connection so busy writing that it is late to read a cancel (seen: two seconds late).
 */
export const messageOverheadBytes = 2 << 10;

/** What a server lets a stream have on its way before who sends has to wait. */
export const maxPendingBytes = 64 << 10;

/**
 * Writes messages to a call without buffering more than `maxPendingBytes` (and the message that went over it).
 * @param send hands one message to the transport, which calls back when it was written
 * @param maxPendingBytes what may be on its way before `write` makes its caller wait; 0 means one message at a time
 */
export function createMessageWriter(
  send: (bytes: Buffer, written: () => void) => void,
  maxPendingBytes: number,
): MessageWriter {
  let pending = 0;
  let waiting: { resolve(): void; reject(error: unknown): void } | undefined;
  let failed: { error: unknown } | undefined;

  return {
    write(bytes) {
      if (failed !== undefined) return Promise.reject(failed.error);
      const size = bytes.byteLength + messageOverheadBytes;
      pending += size;
      send(bytes, () => {
        pending -= size;
        if (waiting === undefined || pending > maxPendingBytes) return;
        const { resolve } = waiting;
        waiting = undefined;
        resolve();
      });
      if (pending <= maxPendingBytes) return undefined;
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
      });
    },
    fail(error) {
      failed ??= { error };
      waiting?.reject(failed.error);
      waiting = undefined;
    },
  };
}
