import type { IdentityClaims, RefusalReason } from '../src/index.ts';
import { componentsOf, forged, genuine, type Message, type Pair, standardParams, withHeader } from './forge.ts';

/** One request and its expected result. */
export type VectorCase = {
  name: string;
  message: Message;
  /** The verifier's clock, in Unix seconds. Default: when the request was signed. */
  at?: number;
  /** The service accepts bodies without a digest on this path. */
  stream?: true;
  /** Other requests that were delivered before, accepted or not. */
  before?: Message[];
  /** How often the same request was delivered before. */
  deliveredBefore?: number;
  /** The first second that the nonce memory covers. Default: 0. */
  memoryBegan?: number;
  refused?: RefusalReason;
  /** A path that needs no identity. It lists the names of the headers that the handler sees. */
  exempt?: readonly string[];
};

export type Refused = Partial<Record<RefusalReason, Record<string, Message | Partial<VectorCase>>>>;

export const txn = 'eyJ0eXAiOiJ0eG50b2tlbitqd3QifQ.eyJ0eG4iOiIxIn0.c2lnbmF0dXJl';
export const service: IdentityClaims = { kind: 'service', serviceId: 'complaint-service' };
export const forUser: IdentityClaims = { ...service, user: { userId: 'u-1', role: 'agent', tenantId: 'acme' } };
export const machine: IdentityClaims = {
  kind: 'client',
  clientId: 'client-7',
  role: 'agent',
  tenantId: 'acme',
  context: { iss: 'https://issuer.example', scope: ['orders.read'] },
};
export const forClient: IdentityClaims = {
  ...service,
  client: { clientId: 'client-7', role: 'agent', tenantId: 'acme' },
};
export const anonymous: IdentityClaims = { kind: 'anonymous' };
export const upgrade = { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' };
export const emptyDigest = 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:';

export const get = () => genuine();
export const post = () =>
  genuine({ method: 'POST', target: '/v1/complaints', body: '{"title":"Noise"}', contentType: 'application/json' });
export const upgrading = () => genuine({ target: '/v1/complaints/events', upgrade });

/** Sets a header and signs the result, so that only the header's grammar can be wrong. */
export const signedWith = (message: Message, name: string, value: string) =>
  forged(withHeader(message, name, value), {});
export const withContext = (value: string) => signedWith(get(), 'x-identity-context', value);
export const withTarget = (target: string) => forged({ ...get(), target }, {});
export const params = (over: Parameters<typeof standardParams>[0]) => forged(get(), { params: standardParams(over) });
export const uncovered = (message: Message, name: string) =>
  forged(message, { components: componentsOf(message).filter((known) => known !== name) });

/** Headers outside the contract. */
export const spareHeaders = (count: number) => Array.from({ length: count }, (_, index): Pair => [`y-${index}`, 'z']);

export function changed(message: Message, name: string, change: (value: string) => string): Message {
  return withHeader(message, name, change(message.headers.find(([known]) => known === name)?.[1] ?? ''));
}
