import { join, resolve } from 'node:path';

type SocketSettings = Readonly<{
  AUTH_OPERATOR_SOCKET?: string | undefined;
  COUNTERSIGN_HOME?: string | undefined;
}>;

/** Returns the path of the operator socket, or undefined if it is disabled. An empty setting counts as absent. */
export function operatorSocketPath({ AUTH_OPERATOR_SOCKET, COUNTERSIGN_HOME }: SocketSettings): string | undefined {
  if (AUTH_OPERATOR_SOCKET === 'off') return undefined;
  return resolve(AUTH_OPERATOR_SOCKET || join(COUNTERSIGN_HOME || '.countersign', 'operator', 'auth-service.sock'));
}
