import { describe, expect, test } from '@jest/globals';
import { stripIdentityHeaders } from '../src/adapters/node-request.ts';
import * as library from '../src/index.ts';
import { isExempt } from '../src/verify/exempt.ts';
import { expectedOf, type Vector, vectorFile, vectorsText, verdictOf } from './vector-verdict.ts';
import { makeVectors } from './vectors.ts';

const { refusalReasons, secretKeyid } = library;
const { vectors } = vectorFile;
const whole = { ...library, isExempt, stripIdentityHeaders };

describe('vectors.json', () => {
  test.each(vectors.map((vector): [string, Vector] => [vector.name, vector]))('%s', async (_name, vector) => {
    expect(await verdictOf(whole, vector)).toEqual(expectedOf(vector));
  });

  test('lists each secret under its derived keyid', () => {
    for (const { keyid, secret_base64 } of vectorFile.keys.secrets) {
      expect(keyid).toBe(secretKeyid(Buffer.from(secret_base64, 'base64')));
    }
  });

  test('covers every reason, and at least twenty accepted requests', () => {
    const reasons = new Set(vectors.flatMap(({ refused }) => refused ?? []));
    expect([...reasons].sort()).toEqual([...refusalReasons].sort());
    expect(vectors.filter(({ identity }) => identity !== undefined).length).toBeGreaterThanOrEqual(20);
    expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
  });

  test('is up to date: run `npm run vectors -w @countersign/identity`', async () => {
    expect(await makeVectors()).toBe(vectorsText);
  });
});
