/**
 * Which versions of a request the scheduler has seen. Hints come from several dispatchers and its own calls, in any order, and some
 * get lost; as long as no version is missing, nothing was, and the store need not be asked.
 */
export class VersionsSeen {
  /** Every change up to this version is known. */
  private upTo: bigint;
  private readonly ahead = new Set<bigint>();

  /** @param upTo the version that the request was read at */
  constructor(upTo: bigint) {
    this.upTo = upTo;
  }

  /** Every change up to this version is known. */
  get complete(): bigint {
    return this.upTo;
  }

  /** A change of this version was seen. */
  add(version: bigint): void {
    if (version <= this.upTo) return;
    this.ahead.add(version);
    while (this.ahead.delete(this.upTo + 1n)) this.upTo += 1n;
  }

  /** Everything up to this version was read from the store. */
  readUpTo(version: bigint): void {
    if (version <= this.upTo) return;
    this.upTo = version;
    for (const seen of this.ahead) if (seen <= version) this.ahead.delete(seen);
    while (this.ahead.delete(this.upTo + 1n)) this.upTo += 1n;
  }
}
