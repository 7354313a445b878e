import type { ChannelCredentials } from "@grpc/grpc-js";

/**
 * Keeps what is closed from connecting. grpc-js (1.14) has each try to connect that fails followed by another one a second later, also when the
 * channel was closed meanwhile; and a connection that this one gets it keeps, with pings, for as long as the server does. It asks the
 * credentials before each try, asks them again for what encrypts the connection, and tells them when nobody uses it any more.
 * @param credentials those of one channel; they are changed
 */
export function endsWithChannel(credentials: ChannelCredentials): ChannelCredentials {
  const create = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...how) => {
    const connector = create(...how);
    let isOver = false;
    const refuse = () => Promise.reject(new Error("the channel is closed"));
    return {
      waitForReady: () => (isOver ? refuse() : connector.waitForReady()),
      // It may have been closed while the connection was made; grpc-js then ends that.
      connect: (socket) => (isOver ? refuse() : connector.connect(socket)),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy() {
        isOver = true;
        connector.destroy();
      },
    };
  };
  return credentials;
}
