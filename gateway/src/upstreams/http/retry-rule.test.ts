import { describe, expect, test } from '@jest/globals';
import type { Code } from '../../errors.ts';
import { createRetryBudget, mostSaved } from '../pool/retry-budget.ts';
import { mayRetry, type Progress } from './retry-rule.ts';

const body = Buffer.from('{}');

describe('whether a request is tried again', () => {
  test.each<[string, Buffer | 'stream' | undefined, Code, Progress, 'other' | 'same', boolean]>([
    ['GET', undefined, 'upstream_broken', 'unanswered', 'same', true],
    ['HEAD', undefined, 'upstream_broken', 'unanswered', 'other', true],
    ['OPTIONS', undefined, 'upstream_broken', 'unanswered', 'same', true],
    ['PUT', body, 'upstream_broken', 'unanswered', 'same', true],
    ['DELETE', undefined, 'upstream_broken', 'unanswered', 'same', true],
    ['POST', body, 'upstream_broken', 'unanswered', 'other', false],
    ['PATCH', body, 'upstream_broken', 'unanswered', 'other', false],
    ['POST', undefined, 'upstream_broken', 'unanswered', 'other', false],
    ['GET', undefined, 'upstream_untrusted', 'unanswered', 'other', true],
    ['POST', body, 'upstream_untrusted', 'unanswered', 'other', false],
    ['PUT', 'stream', 'upstream_broken', 'unanswered', 'other', false],
    // A byte of an answer came.
    ['GET', undefined, 'upstream_broken', 'answered', 'other', false],
    ['GET', undefined, 'upstream_invalid_response', 'answered', 'other', false],
    ['GET', undefined, 'identity_refused', 'answered', 'other', false],
    // It may be working on it.
    ['GET', undefined, 'upstream_timeout', 'unanswered', 'other', false],
    // It never left.
    ['GET', undefined, 'upstream_unreachable', 'unsent', 'other', true],
    ['POST', body, 'upstream_unreachable', 'unsent', 'other', true],
    ['POST', body, 'upstream_timeout', 'unsent', 'other', true],
    ['POST', body, 'upstream_untrusted', 'unsent', 'other', true],
    ['GET', undefined, 'upstream_unreachable', 'unsent', 'same', false],
    ['PUT', 'stream', 'upstream_unreachable', 'unsent', 'other', false],
    // Nobody there to answer to, or no room.
    ['GET', undefined, 'invalid_request', 'unsent', 'other', false],
    ['GET', undefined, 'invalid_request', 'unanswered', 'other', false],
    ['GET', undefined, 'upstream_overloaded', 'unsent', 'other', false],
  ])('%s with %p, %s, %s, %s target: %p', (method, sent, code, progress, target, expected) => {
    expect(mayRetry({ method, body: sent }, { code, progress }, target === 'other')).toBe(expected);
  });

  test('costs at most a fifth more, beyond what was saved up', () => {
    const budget = createRetryBudget();
    let retries = 0;
    for (let request = 0; request < 1_000; request += 1) {
      budget.deposit();
      if (budget.withdraw()) retries += 1;
    }
    expect(retries).toBeGreaterThanOrEqual(200);
    expect(retries).toBeLessThanOrEqual(200 + mostSaved);
  });
});
