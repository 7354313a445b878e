/** Resolves when it is one's turn, with what ends the turn; calling that again does nothing. */
export type Turn = () => Promise<() => void>;

/** Has at most so many take their turn at a time, first come, first served. */
export function createTurns(most: number): Turn {
  const waiting = new Set<() => void>();
  let free = most;

  function passOn(): void {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  return async () => {
    if (free > 0) free -= 1;
    else await new Promise<void>((go) => waiting.add(go));
    let isOver = false;
    return () => {
      if (!isOver) passOn();
      isOver = true;
    };
  };
}
