/** The clocks of this machine. */
export interface Clocks {
  /** Milliseconds since 1970, as this machine believes. */
  wallMs(): number;
  /** Milliseconds since some moment; only goes forward. */
  monotonicMs(): number;
}

/** This machine's. */
export const ownClocks: Clocks = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

/** How far the clock is ahead of the server's, and how wrong that may be. */
export interface ClockSkew {
  readonly clockSkewMs: number | undefined;
  readonly clockDoubtMs: number;
}

/** What the server's answer to the registration says of the clocks. */
export interface ServerTime {
  /** Milliseconds since 1970; 0 when it was not told. */
  readonly serverTimeMs: number;
  /** From the registration to its answer; the server's word is from some moment in between. */
  readonly roundTripMs: number;
  /** How long ago the answer came. */
  readonly ageMs: number;
}

/**
 * Compares the clock with the server's: once when that is told, in the middle of the round trip, and from there on by the clock that only
 * goes forward, so a clock that is set in the meantime is noticed. What cannot be a time is passed over.
 */
export function createClockSkew(clocks: Clocks = ownClocks): {
  told(time: ServerTime): void;
  now(): ClockSkew;
} {
  let server: { readonly atMs: number; readonly monotonicMs: number; doubtMs: number } | undefined;

  return {
    told({ serverTimeMs, roundTripMs, ageMs }) {
      const known = serverTimeMs > 0 && serverTimeMs < 8.64e15;
      const doubtMs = Math.max(0, roundTripMs) / 2;
      server = known
        ? { atMs: serverTimeMs + doubtMs, monotonicMs: clocks.monotonicMs() - ageMs, doubtMs }
        : undefined;
    },
    now() {
      if (server === undefined) return { clockSkewMs: undefined, clockDoubtMs: 0 };
      const serverNowMs = server.atMs + clocks.monotonicMs() - server.monotonicMs;
      return {
        clockSkewMs: Math.round(clocks.wallMs() - serverNowMs),
        clockDoubtMs: Math.ceil(server.doubtMs),
      };
    },
  };
}
