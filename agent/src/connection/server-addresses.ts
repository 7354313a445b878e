/**
 * The order in which to try the servers: chance, so that a fleet spreads; but the one that just failed comes last. grpc-js's own
 * shuffle does not shuffle two addresses, so it is done here.
 */
export function* serverAddresses(
  addresses: readonly string[],
  random: () => number = Math.random,
): Generator<string, never> {
  let round = [...addresses];
  for (;;) {
    round = round
      .map((address) => ({ address, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ address }) => address);
    yield* round;
  }
}

/** How long to wait before the n-th try in a row (from 1): up to 100 ms, doubling to 10 s, anywhere in the upper half. */
export function reconnectPauseMs(tries: number, random: () => number = Math.random): number {
  const most = Math.min(10_000, 100 * 2 ** Math.min(tries - 1, 10));
  return most / 2 + (most / 2) * random();
}
