/**
 * The order in which to try the servers: chance, so that a fleet spreads; but the one that was tried last is not tried next. grpc-js's
 * own shuffle does not shuffle two addresses, so it is done here.
 */
export function* serverAddresses(
  addresses: readonly string[],
  random: () => number = Math.random,
): Generator<string, never> {
  let last: string | undefined;
  for (;;) {
    const round = addresses
      .map((address) => ({ address, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ address }) => address);
    if (round[0] === last) round.push(...round.splice(0, 1));
    yield* round;
    last = round.at(-1);
  }
}

/** How long to wait before the n-th try in a row (from 1): up to 100 ms, doubling to 10 s, anywhere in the upper half. */
export function reconnectPauseMs(tries: number, random: () => number = Math.random): number {
  const most = Math.min(10_000, 100 * 2 ** Math.min(tries - 1, 10));
  return most / 2 + (most / 2) * random();
}
