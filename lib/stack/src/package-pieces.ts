import type { Package } from "./pack-folder.js";

const pieceBytes = 256 << 10;

/** The messages of PutPackage for a package: the first names it, and is there even when it is empty. */
export async function* packagePieces({ digest, bytes }: Package) {
  for (let offset = 0; offset === 0 || offset < bytes.length; offset += pieceBytes) {
    const data = bytes.subarray(offset, offset + pieceBytes);
    yield offset === 0 ? { digest, data } : { data };
  }
}
