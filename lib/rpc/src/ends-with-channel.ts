import type { ChannelCredentials } from "@grpc/grpc-js";

/**
 * Keeps what is closed from connecting. grpc-js (1.14) has each try to connect that fails followed by another one a second later, also when the
 * channel was closed meanwhile; and a connection that this one gets it keeps, with pings, for as long as the server does. It asks the
 * credentials before each try, and tells them when nobody uses the connection any more.
 * @param credentials those of one channel; they are changed
 */
export function endsWithChannel(credentials: ChannelCredentials): ChannelCredentials {
  const create = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...how) => {
    const connector = create(...how);
    let isOver = false;
    return {
      connect: (socket) => connector.connect(socket),
      waitForReady: () =>
        isOver ? Promise.reject(new Error("the channel is closed")) : connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy() {
        isOver = true;
        connector.destroy();
      },
    };
  };
  return credentials;
}
