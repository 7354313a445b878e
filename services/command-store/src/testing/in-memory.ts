import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";

/** A transport to implementations in this process. Errors that a server would hide come out with their stack. */
export function inMemory(routes: (router: ConnectRouter) => void) {
  return createRouterTransport(routes, {
    router: {
      interceptors: [
        (next) => async (request) => {
          try {
            return await next(request);
          } catch (error) {
            if (error instanceof ConnectError) throw error;
            throw new ConnectError(String((error as Error).stack), Code.Internal);
          }
        },
      ],
    },
  });
}
