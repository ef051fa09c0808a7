import { describe, expect, test } from '@jest/globals';
import * as library from '../src/index.ts';
import { signServiceRequest } from '../src/index.ts';
import { makeNestedVectors } from './nested-vectors.ts';
import {
  nestedVectorFile as file,
  type NestedVector,
  nestedVerdictOf,
  privateKeyOf,
  nestedVectorsText as text,
} from './nested-verdict.ts';
import type { VectorRequest } from './vector-verdict.ts';

describe('nested-vectors.json', () => {
  test.each(file.vectors.map((vector): [string, NestedVector] => [vector.name, vector]))(
    '%s',
    async (_name, vector) => {
      expect(await nestedVerdictOf(library, vector)).toEqual(vector.call ?? vector.refused);
    },
  );

  test('is up to date: run `npm run vectors -w @countersign/identity`', () => {
    expect(makeNestedVectors()).toBe(text);
  });
});

const accepted = file.vectors.flatMap(({ name, request, call }): [string, VectorRequest, string][] =>
  call === undefined ? [] : [[name, request, call.service_id]],
);
test.each(accepted)('a service signs this call in the same bytes: %s', (_name, request, serviceId) => {
  const { jwk } = file.services.find(({ service_id }) => service_id === serviceId) ?? { jwk: undefined };
  if (jwk === undefined) throw new Error('no service');
  const headers = new Map(request.headers.map(([name, value]) => [name.toLowerCase(), value.trim()]));
  const [path = '', query = ''] = request.target.split(/(?=\?)(.*)/s, 2);
  const textOf = (name: string) => headers.get(name) ?? '';
  const [, created, nonce = ''] = /;created=(\d+).*;nonce="([^"]+)"/.exec(textOf('signature-input')) ?? [];
  const signed = signServiceRequest(
    { keyid: jwk.kid, privateKey: privateKeyOf(jwk) },
    {
      audience: textOf('x-identity-audience'),
      method: request.method,
      path,
      query,
      contentDigest: textOf('content-digest'),
      contentType: headers.get('content-type'),
      txnToken: headers.get('txn-token'),
    },
    { createdSec: Number(created), lifetimeSec: 30, nonce },
  );
  expect(signed.map(([name, value]) => [name, value])).toEqual(signed.map(([name]) => [name, headers.get(name)]));
});
