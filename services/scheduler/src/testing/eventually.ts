/** Waits until `look` returns something other than undefined and false, and returns it; fails after ten seconds, saying what was awaited. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  for (const end = performance.now() + 10_000; performance.now() < end; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Watches for a while that something stays as it is: for what must not happen. Fails as soon as it does. */
export async function stays(what: string, forMs: number, look: () => boolean): Promise<void> {
  for (const end = performance.now() + forMs; performance.now() < end; ) {
    if (!look()) throw new Error(`not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
