import { testClock } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { createFailureThrottle } from './failure-throttle.ts';

describe('an address that sends invalid tokens', () => {
  test('must wait for the end of the minute after too many', () => {
    const clock = testClock();
    const throttle = createFailureThrottle(3, clock.nowMs);
    for (let failures = 0; failures < 2; failures += 1) throttle.failed('192.0.2.1');
    expect(throttle.waitSec('192.0.2.1')).toBe(0);
    clock.advance(10_000);
    throttle.failed('192.0.2.1');
    expect(throttle.waitSec('192.0.2.1')).toBe(50);
    expect(throttle.waitSec('192.0.2.2')).toBe(0);
    clock.advance(50_000);
    expect(throttle.waitSec('192.0.2.1')).toBe(0);
    throttle.failed('192.0.2.1');
    expect(throttle.waitSec('192.0.2.1')).toBe(0);
  });
});
