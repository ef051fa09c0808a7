import { capturingLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../../test/kit/example-config.ts';
import type { Upstream } from '../../config/config.ts';
import { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { maxEjectionMs } from '../../upstreams/pool/target-health.ts';
import { isHealthy } from '../describe.ts';
import { upstreamStates } from './observe-states.ts';

const [example] = exampleConfig().upstreams.values();
const checks = { path: '/healthz', intervalMs: 5_000, timeoutMs: 2_000, unhealthyAfter: 2, healthyAfter: 2 };

function opened(settings: Partial<Upstream>) {
  let nowMs = 0;
  const { logger } = capturingLogger();
  const upstream = new OpenUpstream({ ...(example as Upstream), ...settings }, { logger, monotonicMs: () => nowMs });
  return {
    targets: upstream.targets,
    pass(ms: number) {
      nowMs += ms;
    },
    states() {
      const { upstream: whole, targets } = upstreamStates(upstream);
      return [whole, ...targets].map(({ state }) => state);
    },
    healthy: () => upstream.targets.map((target) => isHealthy(target, nowMs)),
    since: () => upstreamStates(upstream).upstream.since,
  };
}

test('an upstream is failing from its first failed request until one succeeds, even across ejections', () => {
  const { targets, states, healthy, since, pass } = opened({ targets: ['http://127.0.0.1:1'] });
  expect([states(), healthy()]).toEqual([['not checked', 'not checked'], [true]]);
  targets[0]?.failed({ code: 'upstream_unreachable' }, 'unsent');
  const first = since();
  expect([states(), healthy(), typeof first]).toEqual([['failing', 'failing'], [false], 'string']);
  for (let count = 0; count < 6; count += 1) {
    targets[0]?.failed({ code: 'upstream_unreachable' }, 'unsent');
    expect([states(), healthy(), since()]).toEqual([['failing', 'failing'], [false], first]);
    pass(maxEjectionMs);
    expect([states(), healthy(), since()]).toEqual([['failing', 'failing'], [false], first]);
  }
  targets[0]?.health.responded();
  expect(states()).toEqual(['failing', 'failing']);
  targets[0]?.failed({ code: 'upstream_broken' }, 'responded');
  expect([states(), since()]).toEqual([['failing', 'failing'], first]);
  targets[0]?.succeeded();
  expect([states(), healthy()]).toEqual([['not checked', 'not checked'], [true]]);
});

// An outage that only one check saw once left no entry in the console.
test('one failed check is a state of its own, and requests still go to the target', () => {
  const { targets, states, healthy } = opened({ targets: ['http://127.0.0.1:1'], health: checks });
  const [target] = targets;
  target?.health.checked(true);
  expect(states()).toEqual(['up', 'healthy']);
  target?.health.checked(false);
  expect([states(), healthy()]).toEqual([['degraded', 'check failed'], [true]]);
  target?.health.checked(true);
  expect(states()).toEqual(['up', 'healthy']);
  target?.health.checked(false);
  target?.health.checked(false);
  expect([states(), healthy()]).toEqual([['out', 'checks fail'], [false]]);
  target?.health.checked(true);
  expect(states()).toEqual(['out', 'checks fail']);
});

test('an upstream is degraded until every target fails its checks', () => {
  const { targets, states } = opened({ targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2'], health: checks });
  targets[0]?.health.checked(false);
  targets[1]?.health.checked(false);
  targets[1]?.health.checked(false);
  expect(states()).toEqual(['degraded', 'check failed', 'checks fail']);
  targets[0]?.health.checked(false);
  expect(states()).toEqual(['out', 'checks fail', 'checks fail']);
});

test('an upstream is degraded while requests to one of its targets fail', () => {
  const { targets, states } = opened({ targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] });
  targets[0]?.failed({ code: 'upstream_untrusted' }, 'unsent');
  expect(states()).toEqual(['degraded', 'failing', 'not checked']);
  targets[1]?.failed({ code: 'upstream_untrusted' }, 'unsent');
  expect(states()).toEqual(['failing', 'failing', 'failing']);
  targets[1]?.succeeded();
  expect(states()).toEqual(['degraded', 'failing', 'not checked']);
});
