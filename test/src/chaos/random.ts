/** Numbers that follow from a seed: the same seed gives the same ones. */
export interface Random {
  /** From 0 up to but without 1. */
  next(): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of the things. Throws when there is none. */
  pick<T>(things: readonly T[]): T;
  /** So many of the things, in an order of chance. */
  some<T>(things: readonly T[], count: number): T[];
  /** A generator of its own, so that what draws from one does not shift what another draws. */
  fork(name: string): Random;
}

/** Makes numbers from a seed (splitmix32: small, and good enough to choose faults with). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  const pick = <T>(things: readonly T[]): T => {
    if (things.length === 0) throw new Error("there is nothing to pick from");
    return things[between(0, things.length - 1)] as T;
  };
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick,
    some(things, count) {
      const left = [...things];
      const chosen: (typeof things)[number][] = [];
      while (chosen.length < count && left.length > 0) {
        chosen.push(...left.splice(between(0, left.length - 1), 1));
      }
      return chosen;
    },
    fork(name) {
      const mix = (sum: number, letter: string) => Math.imul(sum, 31) + letter.charCodeAt(0);
      return createRandom([...name].reduce(mix, seed));
    },
  };
}
