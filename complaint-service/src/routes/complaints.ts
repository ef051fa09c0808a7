import type { UserIdentity } from '@countersign/identity';
import { userOf } from '@countersign/identity/express';
import { assertIfMatch, createRouter, jsonBody, pageOf } from '@countersign/service-kit';
import type { Router } from 'express';
import { reachOf } from '../domain/access.ts';
import { cursorAt } from '../domain/cursor.ts';
import { changedFields, editOf, searchedText } from '../domain/editing.ts';
import { termsOf } from '../domain/terms.ts';
import { mayEdit } from '../domain/workflow.ts';
import { maxWrites, secondsToWait } from '../domain/write-limit.ts';
import { AppError } from '../errors.ts';
import { changeComplaint, insertComplaint, listComplaints } from '../store/complaints.ts';
import { addHistory, oldestOfLatestWrites } from '../store/history.ts';
import { inTenant, type Trx } from '../store/in-tenant.ts';
import { replaceTerms } from '../store/terms.ts';
import { complaintPatch, complaintsQuery, newComplaint } from './fields.ts';
import { complaintJson, sendComplaint } from './json.ts';
import { reachComplaint } from './reach-complaint.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes to file, find, read and edit complaints. */
export function complaintRoutes({ db, newId, now }: RouteParts): Router {
  const router = createRouter();

  router.post('/v1/complaints', async (req, res) => {
    const user = userOf(req);
    const text = newComplaint.parse(jsonBody(req));
    const terms = termsOf(searchedText(text));
    const complaint = await inTenant(db, user.tenantId, async (trx) => {
      const at = now();
      await demandFewWrites(trx, user, at);
      const filed = await insertComplaint(trx, {
        ...text,
        tenant_id: user.tenantId,
        id: newId(),
        status: 'open',
        complainant_id: user.userId,
        assignee_id: null,
        revision: newId(),
        created_at: at,
        updated_at: at,
      });
      await replaceTerms(trx, filed, terms);
      await addHistory(trx, filed, { id: newId(), at, actor: user, event: { action: 'filed', detail: {} } });
      return filed;
    });
    sendComplaint(res.status(201).location(`/v1/complaints/${complaint.id}`), complaint);
  });

  router.get('/v1/complaints', async (req, res) => {
    const user = userOf(req);
    const { status, q, cursor, limit } = complaintsQuery.parse(req.query);
    const filter = { status, words: q, after: cursor, limit: limit + 1 };
    const found = await inTenant(db, user.tenantId, (trx) => listComplaints(trx, reachOf(user), filter));
    const { rows, nextCursor } = pageOf(found, limit, cursorAt);
    res.json({ items: rows.map(complaintJson), next_cursor: nextCursor });
  });

  router.get('/v1/complaints/:id', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    sendComplaint(res, await inTenant(db, user.tenantId, (trx) => reachComplaint(trx, user, id, 'read')));
  });

  router.patch('/v1/complaints/:id', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    const wanted = complaintPatch.parse(jsonBody(req));
    const complaint = await inTenant(db, user.tenantId, async (trx) => {
      const current = await reachComplaint(trx, user, id, 'change');
      if (!mayEdit(user, current)) throw new AppError('complaint_locked');
      assertIfMatch(req, current.revision);
      const changes = changedFields(current, wanted);
      if (Object.keys(changes).length === 0) return current;
      const at = now();
      await demandFewWrites(trx, user, at);
      const changed = await changeComplaint(trx, current, changes, { revision: newId(), at });
      if (searchedText(changed) !== searchedText(current)) {
        await replaceTerms(trx, changed, termsOf(searchedText(changed)));
      }
      const event = { action: 'edited', detail: editOf(current, changes) } as const;
      await addHistory(trx, changed, { id: newId(), at, actor: user, event });
      return changed;
    });
    sendComplaint(res, complaint);
  });

  return router;
}

/**
 * Limits the writes of one user, independently of the gateway's limits.
 *
 * @throws AppError `too_many_changes`, with the seconds to wait.
 */
async function demandFewWrites(trx: Trx, user: UserIdentity, at: Date): Promise<void> {
  const waitSec = secondsToWait(await oldestOfLatestWrites(trx, user, maxWrites), at);
  if (waitSec > 0) throw new AppError('too_many_changes', { headers: { 'retry-after': String(waitSec) } });
}
