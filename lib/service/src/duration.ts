const unitsMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads a duration of a setting or an option, such as "30s", "1.5m", "250ms", "2h", "7d", into milliseconds.
 * Undefined for what is no duration; a number without a unit is none, since nobody can tell what it counts.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (unitsMs[match[2] ?? ""] ?? Number.NaN));
}
