import { createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync } from 'node:crypto';
import { type AgreementKeyPair, agreeAsGateway, agreementKeyFromJwk, type SigningKey } from '../src/index.ts';
import { audience } from './forge.ts';

export type PrivateJwk = Readonly<Record<'kty' | 'crv' | 'use' | 'alg' | 'kid' | 'x' | 'd', string>>;

export const hex = (text: string) => Buffer.from(text, 'hex');

/** RFC 7638, computed independently. */
export const thumbprint = (x: string) =>
  createHash('sha256').update(`{"crv":"X25519","kty":"OKP","x":"${x}"}`).digest('base64url');

/** RFC 8410 section 7. */
export const rawPrivateKey = (bytes: Uint8Array) =>
  createPrivateKey({
    key: Buffer.concat([hex('302e020100300506032b656e04220420'), bytes]),
    format: 'der',
    type: 'pkcs8',
  });

/** The private JWK of these 32 bytes. */
function privateJwk(bytes: Buffer): PrivateJwk {
  const d = bytes.toString('base64url');
  const x = String(createPublicKey(rawPrivateKey(bytes)).export({ format: 'jwk' }).x);
  return { kty: 'OKP', crv: 'X25519', use: 'enc', alg: 'countersign-agreed-v1', kid: thumbprint(x), x, d };
}

/** A private key derived from a name. */
export const namedJwk = (name: string): PrivateJwk =>
  privateJwk(createHash('sha256').update(`countersign test vectors: ${name}`).digest());

/** RFC 7748 section 6.1. */
export const alice = privateJwk(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
export const bob = privateJwk(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));

/** Private keys of both sides. They are public, so they are useless in production. */
export const gatewayJwks = [alice, namedJwk('the next key of the gateway')] as const;
export const serviceJwks = [bob, namedJwk('the next key of the service')] as const;
export const strangeGateway = namedJwk('a gateway that is not in the key set');
export const strangeService = namedJwk('another service');

export const withoutPrivate = ({ d: _private, ...half }: PrivateJwk) => half;
export const pairOf = (jwk: PrivateJwk): AgreementKeyPair => agreementKeyFromJwk(jwk);

/** The key that the gateway signs with for this service. */
export function agreedKey(gateway: PrivateJwk, service: PrivateJwk, forAudience: string = audience): SigningKey {
  return {
    algorithm: 'hmac-sha256',
    ...agreeAsGateway(pairOf(gateway), { audience: forAudience, key: pairOf(service) }),
  };
}

export type Derivation = Readonly<{
  shared: Uint8Array;
  gateway: Uint8Array;
  service: Uint8Array;
  audience?: string;
  label?: string;
  salt?: Uint8Array;
}>;

/** The contract's key derivation, implemented independently, for any input. */
export function derived({ shared, gateway, service, ...rest }: Derivation): Buffer {
  const { audience: forAudience = audience, label = 'countersign-v1 agreed\0', salt = new Uint8Array(0) } = rest;
  const info = Buffer.concat([Buffer.from(label), gateway, service, Buffer.from(forAudience)]);
  return Buffer.from(hkdfSync('sha256', shared, salt, info, 32));
}

export const rawPublic = ({ x }: Readonly<{ x: string }>) => Buffer.from(x, 'base64url');

export const sharedOf = (own: PrivateJwk, other: PrivateJwk): Buffer =>
  diffieHellman({ privateKey: pairOf(own).privateKey, publicKey: pairOf(other).publicKey });

/** Signs with any secret under this keyid. */
export const keyWith = (keyid: string, secret: Uint8Array): SigningKey => ({ algorithm: 'hmac-sha256', keyid, secret });
