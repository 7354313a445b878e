/** What stands between the head and the tail of an output that was longer than the cap. */
function mark(left: number): Buffer {
  return Buffer.from(`\n[howdah: ${left} bytes left out here; the whole output is on the host]\n`);
}

/** A piece of what is uploaded of an output: bytes of its file, or the mark. */
export type Piece =
  | { readonly kind: "file"; readonly from: number; readonly to: number }
  | { readonly kind: "mark"; readonly bytes: Buffer };

/**
 * What is uploaded of an output of `written` bytes: all of it, or, when it is longer than the cap, head and tail with a mark between.
 * The head is the same whatever comes after, so that it can be uploaded while the command runs.
 */
export function outputPieces(written: number, cap: number): readonly Piece[] {
  if (written <= cap) return [{ kind: "file", from: 0, to: written }];
  const head = headLength(cap);
  // The mark's own length depends on the digits of the number in it; what it says is exact for this tail.
  const tail = Math.max(0, cap - head - mark(written).length);
  const bytes = mark(written - head - tail).subarray(0, cap - head);
  return [
    { kind: "file", from: 0, to: head },
    { kind: "mark", bytes },
    { kind: "file", from: written - tail, to: written },
  ];
}

/** How much of the beginning of an output is kept in any case. */
export function headLength(cap: number): number {
  return Math.floor(cap / 2);
}

/** How many bytes the pieces are together. */
export function piecesLength(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + pieceLength(piece), 0);
}

function pieceLength(piece: Piece): number {
  return piece.kind === "file" ? piece.to - piece.from : piece.bytes.length;
}

/** The next bytes to upload from `offset`: a range of the file, or bytes of the mark; undefined at the end. */
export function pieceAt(pieces: readonly Piece[], offset: number, most: number): Piece | undefined {
  let start = 0;
  for (const piece of pieces) {
    const length = pieceLength(piece);
    if (offset < start + length) {
      const skip = offset - start;
      const take = Math.min(most, length - skip);
      return piece.kind === "file"
        ? { kind: "file", from: piece.from + skip, to: piece.from + skip + take }
        : { kind: "mark", bytes: piece.bytes.subarray(skip, skip + take) };
    }
    start += length;
  }
  return undefined;
}
