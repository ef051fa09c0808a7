import { describe, expect, test } from '@jest/globals';
import { ejectedAfter, firstEjectionMs, maxEjectionMs, TargetHealth } from './target-health.ts';

const create = () => new TargetHealth({ unhealthyAfter: 2, healthyAfter: 3 });

describe("a target's health", () => {
  test('is healthy until checks or requests fail', () => {
    const health = create();
    expect([health.isAvailable(0), health.checks, health.ejectedForMs(0), health.ejections]).toEqual([
      true,
      'none',
      0,
      0,
    ]);
  });

  test.each([
    ['one failed check is not enough', 'b', true],
    ['enough failed checks in a row', 'bb', false],
    ['enough failed checks, but not in a row', 'bgb', true],
    ['enough failed checks after passed ones', 'gggbb', false],
    ['not enough passed checks after the failures', 'bbgg', false],
    ['passed checks interrupted by a failed one', 'bbggbg', false],
    ['back', 'bbggg', true],
    ['recovered, with one failed check since', 'bbgggb', true],
  ])('%s: %s', (_name, checks, isAvailable) => {
    const health = create();
    for (const check of checks) health.checked(check === 'g');
    expect(health.isAvailable(0)).toBe(isAvailable);
  });

  test('ejects after failures in a row, longer each time, and resets on success', () => {
    const health = create();
    let nowMs = 1_000;
    const failUntilEjected = () => {
      let failures = 0;
      while (health.isAvailable(nowMs)) {
        health.failed(nowMs);
        failures += 1;
      }
      const ejectedForMs = health.ejectedForMs(nowMs);
      nowMs += ejectedForMs;
      return [failures, ejectedForMs];
    };
    expect(failUntilEjected()).toEqual([ejectedAfter, firstEjectionMs]);
    expect(failUntilEjected()).toEqual([1, firstEjectionMs * 2]);
    expect(failUntilEjected()).toEqual([1, firstEjectionMs * 4]);
    for (let count = 0; count < 100; count += 1) failUntilEjected();
    expect(failUntilEjected()).toEqual([1, maxEjectionMs]);
    health.responded();
    expect(failUntilEjected()).toEqual([ejectedAfter, firstEjectionMs]);
  });

  test('is available again as soon as a request gets a response', () => {
    const health = create();
    for (let count = 0; count < ejectedAfter; count += 1) health.failed(0);
    expect(health.isAvailable(1)).toBe(false);
    health.responded();
    expect([health.isAvailable(1), health.ejectedForMs(1)]).toEqual([true, 0]);
  });

  test('does not count requests sent before the ejection', () => {
    const health = create();
    for (let count = 0; count < 50; count += 1) health.failed(0);
    expect([health.ejectedForMs(0), health.ejections]).toEqual([firstEjectionMs, 1]);
    health.failed(firstEjectionMs);
    expect(health.ejectedForMs(firstEjectionMs)).toBe(firstEjectionMs * 2);
  });
});
