import { execFileSync } from 'node:child_process';
import type { Profiler } from 'node:inspector';
import { expect, test } from '@jest/globals';
import { divide, places } from './profile.ts';

const nodeOf = (id: number, functionName: string, url: string, children: number[] = []): Profiler.ProfileNode => ({
  id,
  callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
  children,
});

test('assigns each sample to the innermost function of a part, without idle time', () => {
  const parts = divide(200, {
    startTime: 0,
    endTime: 0,
    nodes: [
      nodeOf(1, '(root)', '', [2, 3, 4, 9]),
      nodeOf(2, '(idle)', ''),
      nodeOf(3, 'parserOnIncoming', 'node:_http_server', [5]),
      nodeOf(4, '(program)', ''),
      nodeOf(5, 'answer', 'file:///a/gateway/src/decision/decide.ts', [6, 7, 11]),
      nodeOf(6, '', 'file:///a/gateway/src/pipeline/pipeline.ts', [8]),
      nodeOf(7, 'end', 'node:_http_outgoing', [10]),
      nodeOf(8, 'signAttempt', 'file:///a/gateway/src/pipeline/sign.ts', [12]),
      nodeOf(9, 'emitCloseNT', 'node:_http_server'),
      nodeOf(10, 'writeLatin1String', ''),
      nodeOf(11, 'authorize', 'file:///a/gateway/src/pipeline/route.ts'),
      nodeOf(12, 'hmac', 'file:///a/packages/identity/src/contract/rfc9421.ts'),
    ],
    samples: [2, 3, 4, 5, 6, 8, 12, 10, 9, 11],
    timeDeltas: [900, 10, 100, 15, 5, 10, 20, 30, 10, 0],
  });
  expect(Object.fromEntries(Object.entries(parts).filter(([, micros]) => micros > 0))).toEqual({
    'sockets and parsing, outside JavaScript': 100,
    'node:http and timers': 20,
    sign: 30,
    'response out': 30,
    rest: 20,
    whole: 200,
  });
});

test.each([
  ['match', 'parseRequestTarget', 'gateway/src/routing/request-target.ts'],
  ['match', '', 'gateway/src/pipeline/route.ts'],
  ['authorize', 'authorize', 'gateway/src/pipeline/route.ts'],
  ['authenticate, cached', 'find', 'gateway/src/tokens/verified-tokens.ts'],
  ['response in', 'socketBytes', 'packages/http1-client/src/connection.ts'],
  ['request out', 'begin', 'packages/http1-client/src/connection.ts'],
  ['response in', 'onResponseStart', 'gateway/src/upstreams/forward/forward-http.ts'],
  ['request out', '#send', 'gateway/src/upstreams/forward/forward-http.ts'],
  ['log', 'membersOf', 'packages/process-kit/src/process/logger.ts'],
])('%s includes %p of %s', (part, name, file) => {
  const nodes = [nodeOf(1, name, `file:///a/${file}`)];
  expect(divide(1, { nodes, startTime: 0, endTime: 0, samples: [1], timeDeltas: [7] })).toMatchObject({ [part]: 1 });
});

test('every file of a part exists', () => {
  const files = execFileSync('git', ['ls-files', '../../..'], { cwd: import.meta.dirname, encoding: 'utf8' });
  const inRepository = files.split('\n').map((file) => file.replaceAll('../', ''));
  const isKnown = (file: RegExp) => ['', 'node:_http_server', ...inRepository].some((name) => file.test(name));
  expect(places.filter(({ file }) => !isKnown(file))).toEqual([]);
});
