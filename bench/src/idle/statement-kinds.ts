/** A statement of a server's log, and how often it stands there. */
export interface CountedStatement {
  readonly text: string;
  readonly count: number;
}

/** Statements of one kind: what they do, to which table, and how often. */
export interface StatementKind {
  /** Such as "update lease". */
  readonly kind: string;
  readonly count: number;
}

/** Sums statements up by their verb and first table; most frequent first. */
export function kindsOf(statements: readonly CountedStatement[]): StatementKind[] {
  const counts = new Map<string, number>();
  for (const { text, count } of statements) {
    const kind = kindOf(text);
    counts.set(kind, (counts.get(kind) ?? 0) + Number(count));
  }
  return [...counts]
    .map(([kind, count]) => ({ kind, count }))
    .sort((a, b) => b.count - a.count || (a.kind < b.kind ? -1 : 1));
}

function kindOf(text: string): string {
  const words = text.toLowerCase().replace(/\s+/g, " ").replace(/;$/, "").trim();
  const verb = words.split(" ", 1)[0] ?? "";
  const table = /\b(?:from|into|update|join) `?([a-z_]+)`?(?=[ ,;)]|$)/.exec(words)?.[1];
  if (table === undefined) return words.slice(0, 40);
  return `${verb} ${table}`;
}
