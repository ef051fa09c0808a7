import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideRefresh, type FamilyState, type Presented } from './refresh-decision.ts';

const alive: FamilyState = { counter: 5, revoked: false, expired: false, holderActive: true, withinGrace: true };
const current: Presented = { counter: 5, hashMatches: true, successor: undefined };
const previous: Presented = { counter: 4, hashMatches: false, successor: 'next' };

describe('the decision about a presented refresh token', () => {
  test.each<[string, FamilyState, Presented, object]>([
    ['rotates the current token', alive, current, { kind: 'rotate' }],
    ['returns the same successor for the previous token', alive, previous, { kind: 'repeat', successor: 'next' }],
    [
      'ends the family for the previous token after the grace period',
      { ...alive, withinGrace: false },
      previous,
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'ends the family for a previous token that cannot decrypt the successor',
      alive,
      { ...previous, successor: undefined },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'ends the family for a token two rotations old',
      alive,
      { ...previous, counter: 3 },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'ends the family for the current counter with another secret',
      alive,
      { ...current, hashMatches: false },
      { kind: 'end', reason: 'reuse', code: 'refresh_token_reused' },
    ],
    [
      'ends the family for a counter that was never issued',
      alive,
      { ...current, counter: 6 },
      { kind: 'end', reason: 'ahead', code: 'invalid_refresh_token' },
    ],
    [
      'ends the family of a person who can no longer log in',
      { ...alive, holderActive: false },
      current,
      { kind: 'end', reason: 'inactive', code: 'session_revoked' },
    ],
  ])('%s', (_, family, presented, decision) => {
    expect(decideRefresh(family, presented)).toEqual(decision);
  });

  test('never revives an ended session, not even within the grace period', () => {
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
