import { join, resolve } from 'node:path';

export type SocketSettings = Readonly<{
  AUTH_OPERATOR_SOCKET?: string | undefined;
  COUNTERSIGN_HOME?: string | undefined;
}>;

/** Where an operator's commands are taken; undefined where they are switched off. As in all settings, empty is absent. */
export function operatorSocketPath({ AUTH_OPERATOR_SOCKET, COUNTERSIGN_HOME }: SocketSettings): string | undefined {
  if (AUTH_OPERATOR_SOCKET === 'off') return undefined;
  return resolve(AUTH_OPERATOR_SOCKET || join(COUNTERSIGN_HOME || '.countersign', 'operator', 'auth-service.sock'));
}
