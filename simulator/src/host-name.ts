/** What a simulated host is called, counted from 1: `sim-00001`. */
export function hostName(prefix: string, number: number): string {
  return `${prefix}-${digits(number)}`;
}

/** What the first so many are called. */
export function hostNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => hostName(prefix, at + 1));
}

/** A selector's pattern for the same: `sim-[00001-00050]`. */
export function hostRange(prefix: string, count: number): string {
  return `${prefix}-[${digits(1)}-${digits(count)}]`;
}

function digits(number: number): string {
  return String(number).padStart(5, "0");
}
