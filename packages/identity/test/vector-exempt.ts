import { genuine, type Message, type Pair, plus, without } from './forge.ts';
import type { VectorCase } from './vector-parts.ts';

/** A request without any header of the contract. */
export const bare = (method: string, target: string, ...headers: Pair[]): Message => ({
  method,
  target,
  headers: [['accept', '*/*'], ...headers],
  body: Buffer.alloc(0),
});

const claims: Pair[] = [
  ['x-user-id', 'root'],
  ['X_User_Role', 'admin'],
  ['x-tenant-name', 'acme'],
  ['txn_token', 'a.b.c'],
  ['x-user-id', 'twice'],
  ['xuser', 'kept'],
];

/** Requests that a service answers without an identity, and which headers its handler still sees. */
export const exemptCases: readonly VectorCase[] = [
  ...['/healthz', '/readyz', '/metrics', '/.well-known/jwks.json', '/.well-known/a/b-c_d.e', '/healthz?verbose=1'].map(
    (target): VectorCase => ({ name: `exempt: ${target}`, message: bare('GET', target), exempt: ['accept'] }),
  ),
  { name: 'exempt: HEAD', message: bare('HEAD', '/healthz'), exempt: ['accept'] },
  {
    name: 'exempt: a path of 256 characters',
    message: bare('GET', `/.well-known/${'a'.repeat(243)}`),
    exempt: ['accept'],
  },
  {
    name: 'exempt: identity headers and their aliases are removed',
    message: bare('GET', '/healthz', ...claims),
    exempt: ['accept', 'xuser'],
  },
  {
    name: 'exempt: a signature is removed and not looked at',
    message: plus(without(genuine({ target: '/healthz' }), 'x-identity'), ['accept', '*/*']),
    exempt: ['accept'],
  },
];
