import assert from "node:assert/strict";
import { test } from "node:test";
import { outputPieces, pieceAt, piecesLength } from "./output-window.js";

/** What is stored of an output, read in pieces of `most` bytes. */
function stored(output: Buffer, cap: number, most: number): Buffer {
  const pieces = outputPieces(output.length, cap);
  const parts: Buffer[] = [];
  let offset = 0;
  for (;;) {
    const piece = pieceAt(pieces, offset, most);
    if (piece === undefined) return Buffer.concat(parts);
    const part = piece.kind === "mark" ? piece.bytes : output.subarray(piece.from, piece.to);
    parts.push(part);
    offset += part.length;
  }
}

test("output up to the cap is kept whole, a longer one as head, mark and tail", () => {
  const output = Buffer.from(Array.from({ length: 5_000 }, (_, at) => 97 + (at % 26)));
  for (const length of [0, 1, 999, 1_000, 1_001, 1_100, 2_000, 4_999, 5_000]) {
    for (const cap of [1, 10, 60, 200, 1_000, 5_000]) {
      for (const most of [1, 7, 10_000]) {
        const written = output.subarray(0, length);
        const kept = stored(written, cap, most);
        assert.equal(kept.length, piecesLength(outputPieces(length, cap)));
        assert.ok(kept.length <= Math.max(cap, 0), `${length} ${cap}`);
        if (length <= cap) assert.deepEqual(kept, written);
        if (length <= cap || cap < 200) continue;
        const [, left] =
          /\n\[howdah: (\d+) bytes left out here; .*\]\n/.exec(kept.toString()) ?? [];
        const mark = kept.toString().indexOf("\n");
        const after = kept.toString().lastIndexOf("\n") + 1;
        assert.equal(Number(left), length - mark - (kept.length - after));
        assert.deepEqual(kept.subarray(0, mark), written.subarray(0, mark));
        assert.deepEqual(kept.subarray(after), written.subarray(length - (kept.length - after)));
        assert.ok(cap - kept.length < 20);
      }
    }
  }
});
