/** Thrown when a package or document cannot be had, is not what its digest says, or cannot be unpacked. */
export class PackageError extends Error {
  override readonly name = "PackageError";
}
