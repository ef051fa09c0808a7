import { componentList } from './rfc9421.ts';

export const identityTag = 'countersign-v1';

/** What decides, and alone decides, which components a signature covers. */
export type Shape = Readonly<{
  service: boolean;
  user: boolean;
  txnToken: boolean;
  contentDigest: boolean;
  contentType: boolean;
  upgrade: boolean;
}>;

export type CoveredComponents = Readonly<{ names: readonly string[]; list: string }>;

const always = [
  '@method',
  '@path',
  '@query',
  'x-request-id',
  'x-identity',
  'x-identity-audience',
  'x-identity-context',
];

const byShape = new Map<number, CoveredComponents>();

/**
 * The one list of components that a request of this shape is signed over, in its one order. Signer and verifier both take it
 * from here; the verifier derives the shape from the headers it received and refuses every other list.
 */
export function coveredComponents(shape: Shape): CoveredComponents {
  const key =
    Number(shape.service) |
    (Number(shape.user) << 1) |
    (Number(shape.txnToken) << 2) |
    (Number(shape.contentDigest) << 3) |
    (Number(shape.contentType) << 4) |
    (Number(shape.upgrade) << 5);
  const known = byShape.get(key);
  if (known !== undefined) return known;
  const names = [...always];
  if (shape.service) names.push('x-service-id');
  if (shape.user) names.push('x-user-id', 'x-user-role', 'x-tenant-id');
  if (shape.txnToken) names.push('txn-token');
  if (shape.contentDigest && shape.contentType) names.push('content-type');
  if (shape.contentDigest) names.push('content-digest');
  if (shape.upgrade) names.push('upgrade', 'sec-websocket-key');
  const covered = { names, list: componentList(names) };
  byShape.set(key, covered);
  return covered;
}
