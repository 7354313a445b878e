/**
 * What is to be written to a stream, in order. The stream reads it at its own pace; what may wait here is bounded by the credit of who
 * puts it in.
 */
export class Outbox<T> implements AsyncIterable<T> {
  private readonly waiting: T[] = [];
  private ended = false;
  private wake: () => void = () => undefined;

  /** Adds a message; after the end it is dropped, since the stream is gone and what matters is in the journal. */
  put(message: T): void {
    if (this.ended) return;
    this.waiting.push(message);
    this.wake();
  }

  /** Ends the stream once all that was put is written. */
  end(): void {
    this.ended = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
        yield next;
      }
      if (this.ended) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
