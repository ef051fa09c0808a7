import type { SigningKey } from '../src/index.ts';
import {
  agreedKey,
  derived,
  gatewayJwks,
  keyWith,
  namedJwk,
  type PrivateJwk,
  rawPublic,
  serviceJwks,
  sharedOf,
  strangeGateway,
  strangeService,
  thumbprint,
  withoutPrivate,
} from './agreed-forge.ts';
import { badPoints, jwkOfPoint } from './agreed-points.ts';
import { edKey, forged, genuine, type Message, nowSec, publicJwk, standardParams, withHeader } from './forge.ts';
import { anonymous, forUser, type Refused, upgrade, type VectorCase } from './vector-parts.ts';

const [gateway, nextGateway] = gatewayJwks;
const [service, nextService] = serviceJwks;
const key = agreedKey(gateway, service);
const get = () => genuine({ key });

/** A key under the right keyid, derived from other input. */
const derivedFrom = (over: Partial<Parameters<typeof derived>[0]>) =>
  keyWith(
    key.keyid,
    derived({ shared: sharedOf(gateway, service), gateway: rawPublic(gateway), service: rawPublic(service), ...over }),
  );

type Entry = Readonly<Record<string, unknown>>;

/** Entries of the gateway's key set that must not be used. Each belongs to a different key. */
const oddEntries: Readonly<Record<string, (jwk: PrivateJwk) => readonly Entry[]>> = {
  'of another algorithm': (jwk) => [{ ...withoutPrivate(jwk), alg: 'ECDH-ES' }],
  'without an algorithm': ({ kty, crv, kid, use, x }) => [{ kty, crv, kid, use, x }],
  'for signatures': (jwk) => [{ ...withoutPrivate(jwk), use: 'sig' }],
  'without a use': ({ kty, crv, kid, alg, x }) => [{ kty, crv, kid, alg, x }],
  'of another curve': (jwk) => [{ ...withoutPrivate(jwk), crv: 'X448' }],
  'of another type': (jwk) => [{ ...withoutPrivate(jwk), kty: 'EC' }],
  'with its private half': (jwk) => [jwk],
  'without a public value': ({ x: _x, ...jwk }) => [withoutPrivate(jwk as PrivateJwk)],
  'with a number as its public value': (jwk) => [{ ...withoutPrivate(jwk), x: 9 }],
  'with a public value of 31 bytes': (jwk) => [shortened(jwk, 31)],
  'with a public value of 33 bytes': (jwk) => [shortened(jwk, 33)],
  'with a public value that is not canonical base64url': (jwk) => [respelled(jwk)],
  'with padding': (jwk) => [{ ...withoutPrivate(jwk), x: `${jwk.x}=` }],
  'twice in the set': (jwk) => [withoutPrivate(jwk), withoutPrivate(jwk)],
  'with the kid of an ed25519 key': (jwk) => [withoutPrivate(jwk), { ...publicJwk, kid: jwk.kid }],
  'under the thumbprint of its other members': (jwk) => [{ ...withoutPrivate(jwk), kid: thumbprint(`${jwk.x} `) }],
};

/** A public value of another length, under its thumbprint. */
function shortened(jwk: PrivateJwk, length: number): Entry {
  const x = Buffer.concat([rawPublic(jwk), Buffer.alloc(1)])
    .subarray(0, length)
    .toString('base64url');
  return { ...withoutPrivate(jwk), x, kid: thumbprint(x) };
}

/** The same bytes with an unused bit set in the last character, under that text's thumbprint. */
function respelled(jwk: PrivateJwk): Entry {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const x = jwk.x.slice(0, -1) + alphabet.charAt(alphabet.indexOf(jwk.x.slice(-1)) + 1);
  return { ...withoutPrivate(jwk), x, kid: thumbprint(x) };
}

const oddKeys = Object.keys(oddEntries).map((name) => [name, namedJwk(name)] as const);
const reserved = `${strangeGateway.kid}.${service.kid}`;

/** Keyids that are almost of the reserved form, so they may be those of ed25519 keys. */
const nearlyReserved: Readonly<Record<string, string>> = {
  'with 42 characters before the dot': reserved.slice(1),
  'with 44 characters before the dot': `a${reserved}`,
  'with 42 characters after the dot': reserved.slice(0, -1),
  'with 44 characters after the dot': `${reserved}a`,
  'with a dot more at its beginning': `.${reserved.slice(1)}`,
  'with a dot more at its end': `${reserved.slice(0, -1)}.`,
  'with a colon instead of the dot': reserved.replace('.', ':'),
};

/** The gateway's key set: keys that sign, keys for agreement, and entries that must not be used. */
export const agreedJwks = {
  keys: [
    publicJwk,
    ...gatewayJwks.map(withoutPrivate),
    ...badPoints.map(({ bytes }) => jwkOfPoint(bytes)),
    ...oddKeys.flatMap(([name, jwk]) => oddEntries[name]?.(jwk) ?? []),
    // The reserved form, so it is not the keyid of an ed25519 key.
    ...[reserved, ...Object.values(nearlyReserved)].map((kid) => ({ ...publicJwk, kid })),
  ],
};

const accepted: readonly VectorCase[] = [
  { name: 'agreed: GET', message: get() },
  { name: 'agreed: POST with a body', message: genuine({ ...postDraft(), key }) },
  { name: 'agreed: an upgrade', message: genuine({ key, target: '/v1/complaints/events', upgrade }) },
  { name: 'agreed: anonymous', message: genuine({ key, as: anonymous }) },
  { name: 'agreed: a service acting for a user', message: genuine({ key, as: forUser }) },
  { name: "agreed: the gateway's next key", message: genuine({ key: agreedKey(nextGateway, service) }) },
  { name: "agreed: the service's next key", message: genuine({ key: agreedKey(gateway, nextService) }) },
  { name: 'agreed: both next keys', message: genuine({ key: agreedKey(nextGateway, nextService) }) },
  { name: 'agreed: ed25519 is accepted too', message: genuine() },
  ...Object.entries(nearlyReserved).map(([name, keyid]) => ({
    name: `agreed: ed25519 is accepted too, under a keyid ${name}`,
    message: genuine({ key: { ...edKey, keyid } as typeof edKey }),
  })),
];

const held = genuine({ ...postDraft(), key });
const repeat = genuine(postDraft());

function postDraft() {
  return { method: 'POST', target: '/v1/complaints', body: '{"title":"Noise"}', contentType: 'application/json' };
}

/** A forger knows the shared secret for a low-order point: it is zero. */
const overBadPoint = ({ bytes }: (typeof badPoints)[number]) => {
  const secret = derived({ shared: new Uint8Array(32), gateway: bytes, service: rawPublic(service) });
  return genuine({ key: keyWith(`${jwkOfPoint(bytes).kid}.${service.kid}`, secret) });
};
const named = (messages: readonly (readonly [string, Message])[]) => Object.fromEntries(messages);
const under = (keyid: string) => genuine({ key: { ...key, keyid } });

const refusedFor: Refused = {
  key_unknown: {
    ...named(badPoints.map((point) => [`a key of the gateway that is ${point.name}`, overBadPoint(point)] as const)),
    ...named(
      oddKeys.map(([name, jwk]) => {
        const { secret } = agreedKey(jwk, service) as Extract<SigningKey, { secret: unknown }>;
        // Under the kid given in the key set.
        const [entry] = oddEntries[name]?.(jwk) ?? [];
        return [`a key of the gateway ${name}`, genuine({ key: keyWith(`${entry?.kid}.${service.kid}`, secret) })];
      }),
    ),
    'a gateway that is not in the key set': genuine({ key: agreedKey(strangeGateway, service) }),
    'a key that is not of this service': genuine({ key: agreedKey(gateway, strangeService) }),
    'a keyid in reverse': under(`${service.kid}.${gateway.kid}`),
    "the service's kid twice": under(`${service.kid}.${service.kid}`),
    "the gateway's kid twice": under(`${gateway.kid}.${gateway.kid}`),
    "the gateway's kid alone": under(gateway.kid),
    "the service's kid alone": under(service.kid),
    'a keyid with a kid of 42 characters': under(`${gateway.kid.slice(1)}.${service.kid}`),
    'a keyid with something before it': under(`a${key.keyid}`),
    'a keyid with something after it': under(`${key.keyid}a`),
    'a keyid with a colon between the kids': under(`${gateway.kid}:${service.kid}`),
    'an ed25519 key under a keyid of this form': genuine({ key: { ...edKey, keyid: reserved } as typeof edKey }),
  },
  algorithm_mismatch: {
    'alg ed25519 with an agreed key': forged(get(), {
      key,
      params: standardParams({ keyid: key.keyid, alg: 'ed25519' }),
    }),
  },
  audience_mismatch: {
    'another service, under its own key': genuine({
      key: agreedKey(gateway, service, 'users-service'),
      audience: 'users-service',
    }),
  },
  signature_invalid: {
    'the key for another audience': genuine({ key: agreedKey(gateway, service, 'users-service') }),
    "the key of the gateway's next key": genuine({ key: { ...agreedKey(nextGateway, service), keyid: key.keyid } }),
    "the key of the service's next key": genuine({ key: { ...agreedKey(gateway, nextService), keyid: key.keyid } }),
    "the gateway's next key in keyid alone": under(`${nextGateway.kid}.${service.kid}`),
    'a derivation with the keys in reverse': genuine({
      key: derivedFrom({ gateway: rawPublic(service), service: rawPublic(gateway) }),
    }),
    'a derivation without a zero byte': genuine({ key: derivedFrom({ label: 'countersign-v1 agreed' }) }),
    'a derivation with another label': genuine({ key: derivedFrom({ label: 'countersign-v2 agreed\0' }) }),
    'a derivation with a salt': genuine({ key: derivedFrom({ salt: Buffer.from('salt') }) }),
    'a derivation without the audience': genuine({ key: derivedFrom({ audience: '' }) }),
    'the shared secret itself': genuine({ key: keyWith(key.keyid, sharedOf(gateway, service)) }),
    'an ed25519 signature': forged(get(), {
      key: edKey,
      params: standardParams({ keyid: key.keyid, alg: 'hmac-sha256' }),
    }),
    'another user': withHeader(get(), 'x-user-id', 'u-2'),
    'another path': { ...get(), target: '/v1/users?status=open' },
  },
  replayed: {
    // An attacker on the network path refused the first in the service's name, so the gateway repeated it. The
    // attacker then delivers both.
    'the nonce of its repeat with ed25519': { message: held, before: [repeat] },
    'the repeat with ed25519 of a request that was accepted': { message: repeat, before: [held] },
    'the nonce of a request that another pair signed': {
      message: get(),
      before: [genuine({ key: agreedKey(nextGateway, service) })],
    },
    'the second delivery': { message: get(), deliveredBefore: 1 },
    'the third delivery, 5 s after expires': { message: get(), deliveredBefore: 2, at: nowSec + 35 },
  },
  expired: { 'six seconds after expires': { message: get(), at: nowSec + 36 } },
  created_in_future: { 'six seconds too early': { message: get(), at: nowSec - 6 } },
};

const refused = Object.entries(refusedFor).flatMap(([reason, cases]) =>
  Object.entries(cases).map(([name, given]): VectorCase => {
    const rest = 'message' in given ? given : { message: given as Message };
    return { name: `agreed, ${reason}: ${name}`, message: get(), ...rest, refused: reason as keyof Refused };
  }),
);

export const agreedCases: readonly VectorCase[] = [...accepted, ...refused];
