import { AppError } from '../errors.ts';
import { type KeyParts, listKeys, revokeKey, rewrapSecrets, rotateKeys } from '../flows/manage-keys.ts';
import { disableUser, enableUser, endAllSessions, resetSecondFactor } from '../flows/operate.ts';
import { verifyAudit } from '../flows/verify-audit.ts';

export type OperatorParts = KeyParts;

/** One command. It answers with lines for a person; none of them holds a secret. */
export type Command = Readonly<{
  /** What is typed, e.g. `keys revoke`. */
  name: string;
  /** What stands behind it, e.g. `KID`. */
  argument?: string;
  summary: string;
  run(parts: OperatorParts, argument: string, requestId: string): Promise<readonly string[]>;
}>;

export const commands: readonly Command[] = [
  {
    name: 'keys list',
    summary: 'the signing keys: state, when each comes into use and goes, under which master key',
    async run(parts) {
      const rows = (await listKeys(parts)).map(({ key, state }) => [
        key.kid,
        key.revokedAt === null ? state : 'revoked',
        key.activateAt.toISOString(),
        key.retireAt.toISOString(),
        key.kekId,
      ]);
      return table([['KID', 'STATE', 'IN USE FROM', 'TO', 'MASTER KEY'], ...rows]);
    },
  },
  {
    name: 'keys rotate',
    summary: 'let the next signing key take over as soon as every verifier knows it',
    async run(parts, _argument, requestId) {
      const { kid, at } = await rotateKeys(parts, requestId);
      return [`${kid} signs from ${at.toISOString()}`];
    },
  },
  {
    name: 'keys revoke',
    argument: 'KID',
    summary: 'refuse everything signed with this key, everywhere, and go on with the next one at once',
    async run(parts, kid, requestId) {
      const { signing } = await revokeKey(parts, kid, requestId);
      return [`${kid} is revoked`, `${signing} signs from now on`];
    },
  },
  {
    name: 'keys rewrap',
    summary: 'seal all secrets in the database under the current master key, so that older ones can go',
    async run(parts, _argument, requestId) {
      const { signingKeys, secondFactors, kekId } = await rewrapSecrets(parts, requestId);
      return [`sealed anew under "${kekId}": ${signingKeys} signing keys, ${secondFactors} second factors`];
    },
  },
  {
    name: 'sessions end-all',
    summary: 'end every session of every tenant, and begin the revocation log anew (after a restore)',
    async run({ db }, _argument, requestId) {
      const { ended, tenants } = await endAllSessions(db, requestId);
      return [`${ended} sessions ended in ${tenants} tenants; no access token from before passes a gateway any more`];
    },
  },
  {
    name: 'users disable',
    argument: 'EMAIL',
    summary: 'let nobody log in as this person, and end their sessions',
    async run({ db }, email, requestId) {
      const { ended } = await disableUser(db, email, requestId);
      return [`${email} is disabled; ${ended} sessions ended`];
    },
  },
  {
    name: 'users enable',
    argument: 'EMAIL',
    summary: 'let this person log in again',
    async run({ db }, email, requestId) {
      await enableUser(db, email, requestId);
      return [`${email} is enabled`];
    },
  },
  {
    name: 'mfa reset',
    argument: 'EMAIL',
    summary: 'take second factor and recovery codes from somebody who has lost both',
    async run({ db }, email, requestId) {
      await resetSecondFactor(db, email, requestId);
      return [`${email} logs in with the password alone, until they enrol again`];
    },
  },
  {
    name: 'audit verify',
    summary: 'compute the hash chain of every audit log again',
    async run({ db }) {
      const chains = await verifyAudit(db);
      const broken = chains.filter(({ brokenAt }) => brokenAt !== undefined);
      if (broken.length > 0) {
        const where = broken.map(({ tenantId, brokenAt }) => ({ tenant: tenantId, entry: brokenAt }));
        throw new AppError('audit_broken', {
          detail: { where },
          errors: where.map(({ tenant, entry }) => ({
            path: tenant,
            message: `entry ${entry} does not follow from the one before`,
          })),
        });
      }
      return table([
        ['TENANT', 'ENTRIES', 'LAST HASH'],
        ...chains.map(({ tenantId, entries, head }) => [tenantId, String(entries), head]),
      ]);
    },
  },
];

/** @returns undefined when there is no such command, or it was given too little or too much. */
export function findCommand(words: readonly string[]): Readonly<{ command: Command; argument: string }> | undefined {
  const command = commands.find(({ name }) => name === words.slice(0, 2).join(' '));
  if (command === undefined || words.length !== (command.argument === undefined ? 2 : 3)) return undefined;
  return { command, argument: words[2] ?? '' };
}

/** The help of the command line. */
export function usage(): string {
  const rows = commands.map(({ name, argument, summary }) => [
    `  ${name}${argument === undefined ? '' : ` ${argument}`}`,
    summary,
  ]);
  return ['countersign-auth COMMAND: what an operator tells the running auth-service', '', ...table(rows)].join('\n');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
