import { namedObject } from '@countersign/service-kit';
import { z } from 'zod';
import { batchSize, type Revocation } from '../../store/sessions/revocations.ts';
import { route } from '../route.ts';

const maxWaitSec = 30;

const feedQuery = z.strictObject({
  log: z.string().max(128).optional(),
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  wait: z.coerce.number().int().min(0).max(maxWaitSec).default(0),
});

/** A request that accepts this media type gets `groups` instead of `items`. */
const groupedType = 'application/vnd.countersign.revocation-groups+json';

const kind = z.enum(['session', 'member', 'user', 'tenant', 'key', 'client']);
const revocation = namedObject('Revocation', {
  kind,
  sid: z.string().optional(),
  user_id: z.string().optional(),
  tenant_id: z.string().optional(),
  kid: z.string().optional(),
  client_id: z.string().optional(),
  not_before: z.iso.datetime(),
  expires_at: z.iso.datetime(),
});

const revocationGroup = z
  .object({ kind, not_before: z.iso.datetime(), expires_at: z.iso.datetime(), ids: z.array(z.string()) })
  .meta({ id: 'RevocationGroup' });

const place = { log: z.string(), cursor: z.int(), complete: z.boolean() };

export const revocationRoutes = [
  route('GET /internal/revocations', {
    operationId: 'followRevocations',
    tag: 'Internal',
    summary: 'Follow the revocation log (gateway only)',
    description:
      `Returns at most ${batchSize} revocations. With \`Accept: ${groupedType}\`, revocations with the same kind and times ` +
      'are in a group of ids. A member id is `<tenant_id> <user_id>`, and an OAuth client id is `<tenant_id> <client_id>`.',
    callers: ['gateway'],
    query: feedQuery,
    responses: {
      200: z.union([
        z.object({ ...place, items: z.array(revocation) }),
        z.object({ ...place, groups: z.array(revocationGroup) }),
      ]),
    },
  }).handle(async ({ req, res, query }, { feed }) => {
    const { log, after, wait } = query;
    const form = req.accepts(['application/json', groupedType]) === groupedType ? 'groups' : 'items';
    const gone = new AbortController();
    res.once('close', () => gone.abort());
    const batch = await feed.next({ log, after, form, waitMs: wait * 1000 }, gone.signal);
    // Another request on this connection would keep the process from stopping.
    if (feed.ended) res.set('connection', 'close');
    const { cursor, complete } = batch;
    const place = { log: batch.log, cursor, complete };
    if (form === 'items') res.json({ ...place, items: batch.items.map(toItem) });
    else res.type(groupedType).json({ ...place, groups: batch.groups });
  }),
];

function toItem({ seq: _seq, ...entry }: Revocation) {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null));
}
