import type { VerifyingKey } from '../contract/rfc9421.ts';
import { agreeAsService, parseAgreedKeyid } from './agreement.ts';
import type { AgreementKeyPair, AgreementPublicKey } from './agreement-jwk.ts';
import type { AgreementKeys } from './agreement-keys.ts';
import type { GatewayKeys } from './gateway-keys.ts';

export type KeyLookupOptions = Readonly<{
  audience: string;
  keys: GatewayKeys;
  /** Undefined if the service accepts no agreed keys. */
  agreement: Pick<AgreementKeys, 'find'> | undefined;
}>;

/** A derived key, and the gateway's key that it was derived from. */
type AgreedPair = Readonly<{ gateway: AgreementPublicKey['publicKey']; key: VerifyingKey }>;

/** More than any rotation needs. */
const maxPairs = 64;

/**
 * Returns a function that finds the key for a keyid: an agreed key if the keyid has the reserved form, and otherwise a
 * gateway key. Derives each pair's key once per fetched gateway key set.
 */
export function createKeyLookup({ audience, keys, agreement }: KeyLookupOptions): GatewayKeys['lookup'] {
  const pairs = new Map<string, AgreedPair>();

  function derived(keyid: string, own: AgreementKeyPair, gateway: AgreementPublicKey | undefined) {
    if (gateway === undefined) return undefined;
    const known = pairs.get(keyid);
    if (known?.gateway === gateway.publicKey) return known.key;
    const { secret } = agreeAsService({ audience, key: own }, gateway);
    const key: VerifyingKey = { algorithm: 'hmac-sha256', secret };
    if (pairs.size >= maxPairs) pairs.clear();
    pairs.set(keyid, { gateway: gateway.publicKey, key });
    return key;
  }

  return (keyid) => {
    const named = parseAgreedKeyid(keyid);
    // Only agreed keys have keyids with this form, whatever the gateway's key source contains.
    if (named === undefined) return keys.lookup(keyid);
    const own = agreement?.find(named.serviceKid);
    if (own === undefined) return undefined;
    const gateway = keys.lookupAgreementKey?.(named.gatewayKid);
    return gateway instanceof Promise
      ? gateway.then((found) => derived(keyid, own, found))
      : derived(keyid, own, gateway);
  };
}
