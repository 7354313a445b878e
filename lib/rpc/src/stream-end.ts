/**
 * Passes a stream's messages on and tells of its end, however it ends, once.
 * @param ended called with nothing when the stream ended or its consumer left, with the error when it failed; what it
 *   returns is thrown in the error's place
 */
export function watchEnd<T>(
  source: AsyncIterable<T>,
  ended: (failure?: { error: unknown }) => unknown,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const messages = source[Symbol.asyncIterator]();
      let over = false;
      const onResult = (result: IteratorResult<T>) => {
        if (result.done === true && !over) {
          over = true;
          ended();
        }
        return result;
      };
      const onError = (error: unknown) => {
        if (over) throw error;
        over = true;
        throw ended({ error });
      };
      return {
        next: () => messages.next().then(onResult, onError),
        async return(value?: unknown) {
          try {
            return (await messages.return?.(value)) ?? { done: true, value };
          } finally {
            onResult({ done: true, value: undefined });
          }
        },
      };
    },
  };
}
