import { capturingLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { exampleConfig } from '../../../test/kit/example-config.ts';
import type { Upstream } from '../../config/config.ts';
import { OpenUpstream } from './open-upstream.ts';
import { maxStreamsPerTarget, type Target, TargetCounts } from './target.ts';

function openTarget(): Target {
  const [example] = exampleConfig().upstreams.values();
  const { targets } = new OpenUpstream(example as Upstream, { logger: capturingLogger().logger });
  return targets[0] as Target;
}

const countsOf = ({ pending, unanswered, streams }: Target) => [pending, unanswered, streams];

test('counts an upload as a stream, then as unanswered, then not at all', () => {
  const target = openTarget();
  const counts = new TargetCounts(target, 'requests');
  expect([counts.uploadBegan(), ...countsOf(target)]).toEqual([true, 1, 0, 1]);
  counts.requestComplete();
  expect(countsOf(target)).toEqual([1, 1, 0]);
  expect([counts.responseBegan('long'), ...countsOf(target)]).toEqual([true, 1, 0, 0]);
  counts.end();
  expect(countsOf(target)).toEqual([0, 0, 0]);
});

test.each([
  ['short', 0],
  ['endless', 1],
] as const)('the end of an upload after its %s response began leaves %d streams', (lifetime, streams) => {
  const target = openTarget();
  const counts = new TargetCounts(target, 'requests');
  counts.uploadBegan();
  counts.responseBegan(lifetime);
  expect(countsOf(target)).toEqual([1, 0, 1]);
  counts.requestComplete();
  expect(countsOf(target)).toEqual([1, 0, streams]);
  counts.end();
  expect(countsOf(target)).toEqual([0, 0, 0]);
});

test('admits no stream at the limit, and does not count a refused one', () => {
  const target = openTarget();
  const all = Array.from({ length: maxStreamsPerTarget }, () => new TargetCounts(target, 'requests'));
  expect(all.every((counts) => counts.uploadBegan())).toBe(true);
  const refused = new TargetCounts(target, 'upgrades');
  refused.requestComplete();
  expect([refused.responseBegan('endless'), ...countsOf(target)]).toEqual([false, maxStreamsPerTarget + 1, 0, 1_024]);
  for (const counts of [...all, refused]) counts.end();
  expect(countsOf(target)).toEqual([0, 0, 0]);
});
