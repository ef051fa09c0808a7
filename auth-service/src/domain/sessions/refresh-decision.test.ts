import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideRefresh, type FamilyState, type Presented } from './refresh-decision.ts';

const alive: FamilyState = { counter: 5, revoked: false, expired: false, holderActive: true, withinGrace: true };
const current: Presented = { counter: 5, hashMatches: true, successor: undefined };
const previous: Presented = { counter: 4, hashMatches: false, successor: 'next' };

describe('what a presented refresh token leads to', () => {
  test.each<[string, FamilyState, Presented, object]>([
    ['the current one rotates', alive, current, { kind: 'rotate' }],
    ['the one before gets the same successor', alive, previous, { kind: 'repeat', successor: 'next' }],
    [
      'the one before, after the grace, ends the family',
      { ...alive, withinGrace: false },
      previous,
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'the one before, that opens nothing, ends the family',
      alive,
      { ...previous, successor: undefined },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'two before ends the family',
      alive,
      { ...previous, counter: 3 },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'the current number with another secret ends the family',
      alive,
      { ...current, hashMatches: false },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'a number that was never given ends the family',
      alive,
      { ...current, counter: 6 },
      { kind: 'end', reason: 'ahead', code: 'invalid_refresh_token' },
    ],
    [
      'a person who may no longer log in ends the family',
      { ...alive, holderActive: false },
      current,
      { kind: 'end', reason: 'inactive', code: 'session_revoked' },
    ],
  ])('%s', (_, family, presented, decision) => {
    expect(decideRefresh(family, presented)).toEqual(decision);
  });

  test('an ended session is never revived, not even within the grace period', () => {
    const presented = fc.record<Presented>({
      counter: fc.integer({ min: 1, max: 9 }),
      hashMatches: fc.boolean(),
      successor: fc.option(fc.string(), { nil: undefined }),
    });
    const family = fc.record<FamilyState>({
      counter: fc.integer({ min: 1, max: 9 }),
      revoked: fc.boolean(),
      expired: fc.boolean(),
      holderActive: fc.boolean(),
      withinGrace: fc.boolean(),
    });
    fc.assert(
      fc.property(family, presented, (state, token) => {
        const lives = !state.revoked && !state.expired && state.holderActive;
        const { kind } = decideRefresh(state, token);
        if (!lives) expect(['refuse', 'end']).toContain(kind);
        if (kind === 'rotate') expect(token).toMatchObject({ counter: state.counter, hashMatches: true });
        if (kind === 'repeat') expect(token.counter).toBe(state.counter - 1);
      }),
    );
  });
});
