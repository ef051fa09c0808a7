import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { stripIdentityHeaders } from '../src/adapters/node-request.ts';
import type * as current from '../src/index.ts';
import { isExempt } from '../src/verify/exempt.ts';
import { audience, edKey, nowSec, requestId, user } from './forge.ts';
import { anonymous, forUser, service } from './vector-parts.ts';
import { expectedOf, type Vector, vectorFile, verdictOf } from './vector-verdict.ts';
import { deliver, verifierAt } from './verifier.ts';

const previous = loadPrevious();

/** See previous-version/README.md. */
function loadPrevious(): typeof current {
  const packed = readFileSync(new URL('previous-version/library.cjs.gz', import.meta.url));
  const module = { exports: {} };
  const requireNode = createRequire(import.meta.url);
  new Function('module', 'exports', 'require', gunzipSync(packed).toString())(module, module.exports, requireNode);
  return module.exports as typeof current;
}

type Shown = Readonly<{ kind: string; client?: unknown; context: Readonly<Record<string, unknown>> }>;
const newMembers = ['client', 'scope', 'roles', 'act'];
/** Whether an accepted request contains something that the previous version does not know. */
function isNews({ identity }: Vector): boolean {
  const { kind, client, context } = identity as Shown;
  return kind === 'client' || client !== undefined || newMembers.some((member) => member in context);
}

/** It does not know `x-client-id`: either the user of a role or tenant is missing, or a covered header is unknown. */
function refusalOf({ identity, request }: Vector): string {
  if ((identity as Shown).client === undefined) return 'header_malformed';
  const hasClaims = request.headers.some(([name]) => name === 'x-user-role' || name === 'x-tenant-id');
  return hasClaims ? 'header_missing' : 'coverage_insufficient';
}

const accepted = vectorFile.vectors.filter(({ identity }) => identity !== undefined);
const library = { ...previous, isExempt, stripIdentityHeaders };

describe('the previous version of the library', () => {
  test.each(accepted.filter(isNews).map((vector): [string, Vector] => [vector.name, vector]))(
    'refuses: %s',
    async (_name, vector) => {
      expect(await verdictOf(library, vector)).toEqual({ refused: refusalOf(vector) });
    },
  );

  test('refuses each new member of the context on its own', () => {
    const shown = accepted.map(({ identity }) => Object.keys((identity as Shown).context).join());
    expect(shown).toEqual(expect.arrayContaining(newMembers));
  });

  test.each(accepted.filter((vector) => !isNews(vector)).map((vector): [string, Vector] => [vector.name, vector]))(
    'accepts from the gateway of today: %s',
    async (_name, vector) => {
      expect(await verdictOf(library, vector)).toEqual(expectedOf(vector));
    },
  );
});

test.each<[string, current.IdentityClaims]>([
  ['a user', user],
  ['an anonymous caller', anonymous],
  ['a service', service],
  ['a service for a user', forUser],
  ['the gateway', { kind: 'gateway' }],
])('a verifier of today accepts %s from a gateway of the previous version', async (_who, claims) => {
  const request = { method: 'GET', path: '/', query: '', requestId, ip: '192.0.2.7' };
  const options = { createdSec: nowSec, lifetimeSec: 30, nonce: previous.newNonce() };
  const headers = previous.signRequest(edKey, previous.prepareIdentity(claims, audience), request, options);
  const identity = await deliver(verifierAt(), {
    method: 'GET',
    target: '/',
    headers: [...headers],
    body: Buffer.alloc(0),
  });
  expect(identity).toEqual({ ...claims, requestId, context: { ip: '192.0.2.7', ...claims.context } });
});
