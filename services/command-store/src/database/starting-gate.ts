import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Refuses the product's own calls with UNAVAILABLE until it is opened; health and reflection are let through. */
export function createStartingGate(): { interceptor: Interceptor; open(): void } {
  let isOpen = false;
  return {
    interceptor: (next) => async (request) => {
      if (!isOpen && request.service.typeName.startsWith("howdah.")) {
        throw new ConnectError(
          "the database cannot be reached: not yet, since the start",
          Code.Unavailable,
        );
      }
      return next(request);
    },
    open() {
      isOpen = true;
    },
  };
}
