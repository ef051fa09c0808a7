import { requestId } from './forge.ts';

type Cause = Readonly<{ refused: string } | { unavailable: string } | { too_large: true }>;
export type AnswerVector = Readonly<{
  name: string;
  request: Readonly<{ target: string; headers: readonly (readonly [string, string])[] }>;
  cause: Cause;
  answer: Readonly<{
    status: number;
    headers: Readonly<Record<string, string>>;
    body: Readonly<Record<string, unknown>>;
  }>;
}>;

const withId = (id: string): [string, string] => ['x-request-id', id];

function answerTo(cause: Cause, { path = '/v1/complaints', isNew = false } = {}): AnswerVector['answer'] {
  const [status, code, more] =
    'refused' in cause
      ? [401, 'identity_refused', { 'www-authenticate': 'Countersign', 'x-identity-refused': cause.refused }]
      : 'unavailable' in cause
        ? [503, 'identity_unavailable', { 'retry-after': '1', 'x-identity-unavailable': cause.unavailable }]
        : [413, 'payload_too_large', { connection: 'close' }];
  return {
    status: Number(status),
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(!isNew && { 'x-request-id': requestId }),
      ...(more as Record<string, string>),
    },
    body: {
      type: `urn:countersign:error:${code}`,
      status,
      instance: path,
      code,
      ...(!isNew && { request_id: requestId }),
    },
  };
}

const causes: readonly Cause[] = [
  { refused: 'signature_invalid' },
  { refused: 'created_before_start' },
  { refused: 'target_malformed' },
  ...['keys_unavailable', 'replay_unavailable', 'unavailable'].map((unavailable) => ({ unavailable })),
  { too_large: true },
];
const refused: Cause = { refused: 'signature_invalid' };
const request = (target: string, ...headers: [string, string][]) => ({ target, headers });
const renewed: readonly (readonly [string, [string, string][]])[] = [
  ['no request id', []],
  ['a request id that is a UUIDv4', [withId('00000000-0000-4000-8000-000000000000')]],
  ['a request id in upper case', [withId(requestId.toUpperCase())]],
  ['a request id twice', [withId(requestId), withId(requestId)]],
];

/** Responses of a service that does not accept a request. Without `request_id`, the id is a new one. */
export const answerVectors: readonly AnswerVector[] = [
  ...causes.map((cause) => ({
    name: Object.entries(cause).join(),
    request: request('/v1/complaints', withId(requestId)),
    cause,
    answer: answerTo(cause),
  })),
  ...renewed.map(([name, headers]) => ({
    name,
    request: request('/v1/complaints', ...headers),
    cause: refused,
    answer: answerTo(refused, { isNew: true }),
  })),
  ...[
    ['/v1/complaints?token=secret', '/v1/complaints'],
    ['/caf\u00c3\u00a9?q', '/caf\u00c3\u00a9'],
    [`/${'a'.repeat(1023)}b?q`, `/${'a'.repeat(1023)}`],
  ].map(([target = '', path = '']) => ({
    name: `the path alone: ${target.slice(0, 40)}`,
    request: request(target, withId(requestId)),
    cause: refused,
    answer: answerTo(refused, { path }),
  })),
];
