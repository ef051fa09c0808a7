import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { GatewayKey } from './key-files.ts';

/**
 * Creates a function that derives a MAC key from a private key (RFC 5869), once per key. Only gateway replicas
 * share it.
 *
 * @param label Keeps it apart from other derived keys.
 */
export function macKeysFor(label: string): (key: GatewayKey) => KeyObject {
  const macs = new WeakMap<GatewayKey, KeyObject>();
  return (key) => {
    let mac = macs.get(key);
    if (mac === undefined) {
      const { d = '' } = key.privateKey.export({ format: 'jwk' });
      mac = createSecretKey(Buffer.from(hkdfSync('sha256', Buffer.from(d, 'base64url'), '', label, 32)));
      macs.set(key, mac);
    }
    return mac;
  };
}
