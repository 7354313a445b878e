/**
 * What is to be written to a stream, in order. The stream reads it at its own pace. A stream that takes nothing any more is told of
 * by `overflow`, once, when more than `most` messages wait; until its end it is then given nothing more.
 */
export class Outbox<T> implements AsyncIterable<T> {
  private waiting: T[] = [];
  private ended = false;
  private wake: () => void = () => undefined;

  constructor(
    private readonly most: number = Number.POSITIVE_INFINITY,
    private readonly overflow: () => void = () => undefined,
  ) {}

  /** Adds a message; after the end it is dropped, since the stream is gone and what matters is in the journal. */
  put(message: T): void {
    if (this.ended) return;
    if (this.waiting.length >= this.most) {
      this.waiting = [];
      this.end();
      this.overflow();
      return;
    }
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
