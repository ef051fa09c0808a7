import type { Profiler } from 'node:inspector';
import { expect, test } from '@jest/globals';
import { describeShares, sharesOf } from './profile.ts';

const nodeOf = (id: number, functionName: string, url: string, children: number[] = []): Profiler.ProfileNode => ({
  id,
  callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  children,
});

test('assigns each stack’s time to the functions on it, without idle time and the benchmark', () => {
  const shares = sharesOf({
    startTime: 0,
    endTime: 0,
    nodes: [
      nodeOf(1, '(root)', '', [2, 3, 4, 9]),
      nodeOf(2, '(idle)', ''),
      nodeOf(3, 'parserOnIncoming', 'node:_http_server', [5]),
      nodeOf(4, 'run', 'file:///a/infra/bench/stages/lockstep.ts'),
      nodeOf(5, 'answer', 'file:///a/gateway/src/decision/decide.ts', [6, 7]),
      nodeOf(6, '', 'file:///a/gateway/src/pipeline/pipeline.ts', [8]),
      nodeOf(7, 'end', 'node:_http_outgoing', [10]),
      nodeOf(8, 'sign', 'file:///a/packages/identity/src/sign/sign.ts'),
      nodeOf(9, 'emitCloseNT', 'node:_http_server'),
      nodeOf(10, 'writeLatin1String', ''),
    ],
    samples: [2, 3, 4, 5, 6, 8, 10, 9],
    timeDeltas: [900, 10, 500, 20, 5, 25, 30, 10],
  });
  expect(shares).toEqual({ node: 0.5, pipeline: 0.3, rest: 0.2 });
  expect(describeShares(shares)).toContain('1.25 times');
});
