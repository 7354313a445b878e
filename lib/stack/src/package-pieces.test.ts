import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { packagePieces } from "./package-pieces.js";

it("should cut a package into pieces, of which the first alone has its name", async () => {
  for (const size of [0, 1, 256 << 10, (512 << 10) + 1]) {
    const bytes = randomBytes(size);
    const pieces: { digest?: string; data: Uint8Array }[] = [];
    for await (const piece of packagePieces({ digest: "d", bytes })) pieces.push(piece);
    assert.equal(pieces.length, Math.max(1, Math.ceil(size / (256 << 10))));
    assert.deepEqual(
      pieces.map(({ digest }) => digest),
      pieces.map((_, at) => (at === 0 ? "d" : undefined)),
    );
    assert.ok(Buffer.concat(pieces.map(({ data }) => data)).equals(bytes));
  }
});
