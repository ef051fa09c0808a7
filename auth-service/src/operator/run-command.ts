import { lineField } from '@countersign/service-kit';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type ChainReport, verifyAudit } from '../flows/audit/verify-audit.ts';
import { type KeyParts, listKeys, revokeKey, rewrapSecrets, rotateKeys } from '../flows/keys/signing-keys.ts';
import * as flows from '../flows/operator/operate.ts';
import { type Command, tableLines } from './commands.ts';

export type OperatorParts = KeyParts;

type Run = (parts: OperatorParts, given: readonly string[], requestId: string) => Promise<readonly string[]>;

const slugField = z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be 1 to 64 characters of a-z, 0-9 and -');
const newTenant = z.object({ SLUG: slugField, NAME: lineField(100) });
const invited = z.object({ SLUG: z.string(), EMAIL: z.email() });

/** Functions that run the commands and return lines of text without secrets. */
export const run: Readonly<Record<Command, Run>> = {
  async 'keys list'(parts) {
    const rows = (await listKeys(parts)).map(({ key, state }) => [
      key.kid,
      key.revoked_at === null ? state : 'revoked',
      key.activate_at.toISOString(),
      key.retire_at.toISOString(),
      key.kek_id,
    ]);
    return tableLines([['KID', 'STATE', 'IN USE FROM', 'TO', 'MASTER KEY'], ...rows]);
  },
  async 'keys rotate'(parts, _given, requestId) {
    const { kid, at } = await rotateKeys(parts, requestId);
    return [`${kid} signs from ${at.toISOString()}`];
  },
  async 'keys revoke KID'(parts, [kid = ''], requestId) {
    const { signing } = await revokeKey(parts, kid, requestId);
    return [`${kid} is revoked`, `${signing} now signs`];
  },
  async 'keys rewrap'(parts, _given, requestId) {
    const { signingKeys, secondFactors, kekId } = await rewrapSecrets(parts, requestId);
    return [`encrypted with "${kekId}": ${signingKeys} signing keys, ${secondFactors} second factors`];
  },
  async 'sessions end-all'({ db }, _given, requestId) {
    const { ended, tenants } = await flows.endAllSessions(db, requestId);
    return [`${ended} sessions ended in ${tenants} tenants; gateways refuse all earlier access tokens`];
  },
  async 'tenants list'({ db }) {
    const rows = (await flows.everyTenant(db)).map(({ id, slug, name, status }) => [id, slug, status, name]);
    return tableLines([['ID', 'SLUG', 'STATE', 'NAME'], ...rows]);
  },
  async 'tenants create SLUG NAME'({ db }, [SLUG, NAME], requestId) {
    const { SLUG: slug, NAME: name } = newTenant.parse({ SLUG, NAME });
    const { id } = await flows.createTenant(db, { slug, name }, requestId);
    return [`created ${slug} with id ${id}; run tenants invite ${slug} EMAIL to invite its first administrator`];
  },
  async 'tenants invite SLUG EMAIL'({ db }, [SLUG, EMAIL], requestId) {
    const { SLUG: slug, EMAIL: email } = invited.parse({ SLUG, EMAIL });
    await flows.inviteAdministrator(db, { slug, email }, requestId);
    return [`invitation sent to ${email}, to administer ${slug}`];
  },
  async 'tenants disable SLUG'({ db }, [slug = ''], requestId) {
    const { ended } = await flows.disableTenant(db, slug, requestId);
    return [`${slug} is disabled; ${ended} sessions ended`];
  },
  async 'tenants enable SLUG'({ db }, [slug = ''], requestId) {
    await flows.enableTenant(db, slug, requestId);
    return [`${slug} is enabled`];
  },
  async 'users disable EMAIL'({ db }, [email = ''], requestId) {
    const { ended } = await flows.disableUser(db, email, requestId);
    return [`${email} is disabled; ${ended} sessions ended`];
  },
  async 'users enable EMAIL'({ db }, [email = ''], requestId) {
    await flows.enableUser(db, email, requestId);
    return [`${email} is enabled`];
  },
  async 'mfa reset EMAIL'({ db }, [email = ''], requestId) {
    await flows.resetSecondFactor(db, email, requestId);
    return [`${email} can log in with the password alone until they set up a second factor again`];
  },
  async 'audit verify'({ db }) {
    const chains = await verifyAudit(db);
    assertWhole(chains);
    return tableLines([
      ['TENANT', 'ENTRIES', 'LAST HASH'],
      ...chains.map(({ tenantId, entries, head }) => [tenantId, String(entries), head]),
    ]);
  },
  async 'audit contains HASH'({ db }, [hash = '']) {
    const chains = await verifyAudit(db, hash.toLowerCase());
    assertWhole(chains);
    const found = chains.find(({ notedAt }) => notedAt !== undefined);
    if (found === undefined) {
      const message =
        'no entry has this hash: its chain was truncated or rewritten, or the hash was recorded incorrectly';
      throw new AppError('audit_broken', { errors: [{ path: 'HASH', message }] });
    }
    return [`entry ${found.notedAt} of ${found.entries} in ${found.tenantId} and all earlier entries are unchanged`];
  },
};

/** @throws AppError `audit_broken` naming the first invalid entry of each chain. */
function assertWhole(chains: readonly ChainReport[]): void {
  const broken = chains.filter(({ brokenAt }) => brokenAt !== undefined);
  if (broken.length === 0) return;
  const where = broken.map(({ tenantId, brokenAt }) => ({ tenant: tenantId, entry: brokenAt }));
  throw new AppError('audit_broken', {
    detail: { where },
    errors: where.map(({ tenant, entry }) => ({
      path: tenant,
      message: `entry ${entry} does not match the hash of the entry before it`,
    })),
  });
}
