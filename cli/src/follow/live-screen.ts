import type { Io } from "../io.js";
import { cut } from "../text/words.js";

/** A few lines at the end of the terminal that are drawn anew, and text that stays above them. */
export interface LiveScreen {
  /** Draws these lines in place of those before. */
  draw(lines: readonly string[]): void;
  /** Writes text that stays, above the lines. */
  print(text: string): void;
  /** Takes the lines away, for good. */
  clear(): void;
}

const up = (lines: number) => (lines === 0 ? "" : `\u001b[${lines}F`);
const clearToEnd = "\u001b[J";

/** Draws on a terminal. */
export function createLiveScreen(io: Io): LiveScreen {
  let drawn: readonly string[] = [];
  const replace = (above: string, lines: readonly string[]) => {
    // Lines that wrapped would be more than we count.
    const shown = lines.slice(0, io.rows() - 1).map((line) => cut(line, io.columns() - 1));
    const below = shown.map((line) => `${line}\n`).join("");
    io.out(`${up(drawn.length)}${clearToEnd}${above}${below}`);
    drawn = shown;
  };
  return {
    draw(lines) {
      replace("", lines);
    },
    print(text) {
      replace(text.endsWith("\n") ? text : `${text}\n`, drawn);
    },
    clear() {
      replace("", []);
    },
  };
}
