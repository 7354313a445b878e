/** Things to be handed over, by the dispatcher that gets them, each list in the order of adding. */
export class PerDispatcher<T> {
  private readonly lists = new Map<string, T[]>();

  /** Adds one. */
  add(dispatcher: string, one: T): void {
    const list = this.lists.get(dispatcher);
    if (list === undefined) this.lists.set(dispatcher, [one]);
    else list.push(one);
  }

  /** Hands every list over. */
  forEach(hand: (dispatcher: string, list: readonly T[]) => void): void {
    for (const [dispatcher, list] of this.lists) hand(dispatcher, list);
  }
}
