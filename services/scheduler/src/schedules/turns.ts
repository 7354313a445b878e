/** Has what concerns one name happen in turn, and what concerns different names beside each other. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();

  /** Does the work once everything that was given before for the same name has settled. */
  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.last.get(name);
    const turn = before === undefined ? work() : before.then(work);
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.last.set(name, settled);
    void settled.then(() => {
      if (this.last.get(name) === settled) this.last.delete(name);
    });
    return turn;
  }

  /** Resolves once all that was given has settled. */
  async ended(): Promise<void> {
    while (this.last.size > 0) await Promise.all(this.last.values());
  }
}
