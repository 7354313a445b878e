const units = ["KiB", "MiB", "GiB", "TiB"];

/** "512 bytes", "1.5 MiB", "12 GiB". */
export function spokenBytes(bytes: bigint): string {
  if (bytes < 1024n) return bytes === 1n ? "1 byte" : `${bytes} bytes`;
  let value = Number(bytes) / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
