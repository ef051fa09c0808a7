import { describe, expect, test } from '@jest/globals';
import type { Code } from '../../errors.ts';
import { maxSavedRetries, RetryBudget } from './open-upstream.ts';
import { type AttemptProgress, mayRetry } from './retry.ts';

const body = Buffer.from('{}');

describe('retries', () => {
  test.each<[string, Buffer | 'stream' | undefined, Code, AttemptProgress, 'other' | 'same', boolean]>([
    ['GET', undefined, 'upstream_broken', 'sent', 'same', true],
    ['HEAD', undefined, 'upstream_broken', 'sent', 'other', true],
    ['OPTIONS', undefined, 'upstream_broken', 'sent', 'same', true],
    ['PUT', body, 'upstream_broken', 'sent', 'same', true],
    ['DELETE', undefined, 'upstream_broken', 'sent', 'same', true],
    ['POST', body, 'upstream_broken', 'sent', 'other', false],
    ['PATCH', body, 'upstream_broken', 'sent', 'other', false],
    ['POST', undefined, 'upstream_broken', 'sent', 'other', false],
    ['GET', undefined, 'upstream_untrusted', 'sent', 'other', true],
    ['POST', body, 'upstream_untrusted', 'sent', 'other', false],
    ['PUT', 'stream', 'upstream_broken', 'sent', 'other', false],
    // The service sent at least one response byte.
    ['GET', undefined, 'upstream_broken', 'responded', 'other', false],
    ['GET', undefined, 'upstream_invalid_response', 'responded', 'other', false],
    ['GET', undefined, 'identity_refused', 'responded', 'other', false],
    // The service may still be working on the request.
    ['GET', undefined, 'upstream_timeout', 'sent', 'other', false],
    // The request was never sent.
    ['GET', undefined, 'upstream_unreachable', 'unsent', 'other', true],
    ['POST', body, 'upstream_unreachable', 'unsent', 'other', true],
    ['POST', body, 'upstream_timeout', 'unsent', 'other', true],
    ['POST', body, 'upstream_untrusted', 'unsent', 'other', true],
    ['GET', undefined, 'upstream_unreachable', 'unsent', 'same', false],
    ['PUT', 'stream', 'upstream_unreachable', 'unsent', 'other', false],
    // The client disconnected, or the target is full.
    ['GET', undefined, 'invalid_request', 'unsent', 'other', false],
    ['GET', undefined, 'invalid_request', 'sent', 'other', false],
    ['GET', undefined, 'upstream_overloaded', 'unsent', 'other', false],
  ])('%s with %p, %s, %s, %s target: %p', (method, sent, code, progress, target, expected) => {
    expect(mayRetry({ method, body: sent }, { code, progress }, target === 'other')).toBe(expected);
  });

  test('add at most a fifth to the requests, apart from the saved retries', () => {
    const budget = new RetryBudget();
    let retries = 0;
    for (let request = 0; request < 1_000; request += 1) {
      budget.deposit();
      if (budget.withdraw()) retries += 1;
    }
    expect(retries).toBeGreaterThanOrEqual(200);
    expect(retries).toBeLessThanOrEqual(200 + maxSavedRetries);
  });
});
