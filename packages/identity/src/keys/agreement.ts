import { diffieHellman, hkdfSync, type KeyObject } from 'node:crypto';
import { type AgreementKeyPair, type AgreementPublicKey, publicBytes } from './agreement-jwk.ts';

/** The HMAC key that a gateway and a service derive, and its keyid. */
export type AgreedKey = Readonly<{ keyid: string; secret: Uint8Array }>;

/** The called service, and its key. */
export type AgreementPeer<Key> = Readonly<{ audience: string; key: Key }>;

/** Both sides of a keyid: `<gateway thumbprint>.<service thumbprint>`. */
export type AgreedKeyid = Readonly<{ gatewayKid: string; serviceKid: string }>;

const context = Buffer.from('countersign-v1 agreed\0');
const secretBytes = 32;
const thumbprintLength = 43;
const keyidPattern = /^[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$/;

/** Splits a keyid that has the form reserved for agreed keys. Undefined for any other form. */
export function parseAgreedKeyid(keyid: string): AgreedKeyid | undefined {
  if (!keyidPattern.test(keyid)) return undefined;
  return { gatewayKid: keyid.slice(0, thumbprintLength), serviceKid: keyid.slice(thumbprintLength + 1) };
}

/**
 * Derives the key with which the gateway signs for one service. Derive it once for each pair, never for each request.
 *
 * @throws RangeError when the service's key is of low order.
 */
export function agreeAsGateway(gateway: AgreementKeyPair, service: AgreementPeer<AgreementPublicKey>): AgreedKey {
  const { audience, key } = service;
  return derive({ gateway, service: key, audience, shared: sharedSecret(gateway.privateKey, key) });
}

/**
 * Derives the same key on the service's side.
 *
 * @throws RangeError when the gateway's key is of low order.
 */
export function agreeAsService(service: AgreementPeer<AgreementKeyPair>, gateway: AgreementPublicKey): AgreedKey {
  const { audience, key } = service;
  return derive({ gateway, service: key, audience, shared: sharedSecret(key.privateKey, gateway) });
}

type Derivation = Readonly<{
  gateway: AgreementPublicKey;
  service: AgreementPublicKey;
  audience: string;
  shared: Uint8Array;
}>;

/** HKDF-SHA-256 (RFC 5869) without salt. `info` binds the key to both public keys and the audience. */
function derive({ gateway, service, audience, shared }: Derivation): AgreedKey {
  const info = Buffer.concat([context, publicBytes(gateway), publicBytes(service), Buffer.from(audience, 'latin1')]);
  const secret = new Uint8Array(hkdfSync('sha256', shared, new Uint8Array(0), info, secretBytes));
  return { keyid: `${gateway.kid}.${service.kid}`, secret };
}

/** X25519 (RFC 7748 section 6.1). An all-zero result is refused: it does not depend on the private key. */
function sharedSecret(privateKey: KeyObject, { publicKey }: AgreementPublicKey): Uint8Array {
  let shared: Buffer;
  try {
    shared = diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    // OpenSSL refuses an all-zero result.
    throw new RangeError('the key of the other side has low order', { cause });
  }
  if (shared.every((byte) => byte === 0)) throw new RangeError('the key of the other side has low order');
  return shared;
}
