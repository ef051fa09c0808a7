import {
  createAgreementKey,
  readAgreementKeys,
  removeAgreementKey,
  retireAgreementKey,
} from './agreement-key-files.ts';
import { createGatewayKey, isActive, readKeys, removeGatewayKey, retireGatewayKey } from './gateway-keys.ts';

/** What a key is for: ed25519 signs, x25519 is agreed on with services. Each has a successor of its own kind. */
export type KeyKind = 'ed25519' | 'x25519';

/** A key of the gateway, for the command line. */
export type ManagedKey = Readonly<{
  kid: string;
  kind: KeyKind;
  notBeforeSec: number;
  expiresSec: number | undefined;
  retire(expiresSec: number): void;
  remove(): void;
}>;

/**
 * Reads all keys of a directory, each kind with its newest last.
 *
 * @throws StartupError, see readKeys.
 */
export function readManagedKeys(directory: string): readonly ManagedKey[] {
  return [
    ...readKeys(directory).map((key): ManagedKey => {
      const { keyid: kid, notBeforeSec, expiresSec } = key;
      const retire = (atSec: number) => retireGatewayKey(directory, key, atSec);
      return { kid, kind: 'ed25519', notBeforeSec, expiresSec, retire, remove: () => removeGatewayKey(directory, key) };
    }),
    ...readAgreementKeys(directory).map((key): ManagedKey => {
      const { kid, notBeforeSec, expiresSec } = key;
      const retire = (atSec: number) => retireAgreementKey(directory, key, atSec);
      return {
        kid,
        kind: 'x25519',
        notBeforeSec,
        expiresSec,
        retire,
        remove: () => removeAgreementKey(directory, key),
      };
    }),
  ];
}

/** Creates a key of a kind. Returns its kid. */
export function createKey(kind: KeyKind, directory: string, notBeforeSec: number): string {
  return kind === 'ed25519' ? createGatewayKey(directory, notBeforeSec) : createAgreementKey(directory, notBeforeSec);
}

/** The key of a kind that the gateway uses now. */
export function keyInUse(keys: readonly ManagedKey[], kind: KeyKind, nowSec: number): ManagedKey | undefined {
  return keys.findLast((key) => key.kind === kind && isActive(key, nowSec));
}
