/**
 * Waits for the first message of a stream, or its end, and gives the stream as a whole. Rejects when it fails before. What is given must be read, or
 * returned from.
 */
export async function begun<T>(messages: AsyncIterable<T>): Promise<AsyncGenerator<T>> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}
