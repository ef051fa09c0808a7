import type { UserIdentity } from '@countersign/identity';
import { foldName } from '../../domain/catalogue/category-name.ts';
import { mayTakeComplaints } from '../../domain/people.ts';
import { AppError } from '../../errors.ts';
import {
  changeTeam,
  findTeam,
  insertTeam,
  lockTeam,
  setMembers,
  type TeamWithMembers,
} from '../../store/catalogue/teams.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import type { FlowParts } from '../parts.ts';
import { withUniqueName } from './manage-categories.ts';

export type WantedTeam = Readonly<{
  name?: string | undefined;
  /** The complete list of members. */
  members?: readonly string[] | undefined;
}>;

/** @throws AppError `name_taken`, `unknown_assignee` or `people_unavailable`. */
export async function addTeam(
  parts: FlowParts,
  user: UserIdentity,
  { name, members = [] }: WantedTeam & Readonly<{ name: string }>,
): Promise<TeamWithMembers> {
  await assertAgents(parts, user, members);
  const id = parts.newId();
  const at = parts.now();
  const written = { tenant_id: user.tenantId, id, revision: parts.newId(), created_at: at, updated_at: at };
  return withUniqueName('teams_name', () =>
    asUser(parts.db, user, async (trx) => {
      await insertTeam(trx, { ...written, name, name_key: foldName(name) });
      await setMembers(trx, { tenantId: user.tenantId, teamId: id }, members);
      return teamAfter(trx, id);
    }),
  );
}

/** @throws AppError `not_found`, `name_taken`, `unknown_assignee` or `people_unavailable`. */
export async function editTeam(
  parts: FlowParts,
  user: UserIdentity,
  { id, name, members }: WantedTeam & Readonly<{ id: string }>,
): Promise<TeamWithMembers> {
  await assertAgents(parts, user, members ?? []);
  const names = name === undefined ? {} : { name, name_key: foldName(name) };
  return withUniqueName('teams_name', () =>
    asUser(parts.db, user, async (trx) => {
      if (!(await lockTeam(trx, id))) throw new AppError('not_found');
      await changeTeam(trx, id, { ...names, revision: parts.newId(), updated_at: parts.now() });
      if (members !== undefined) await setMembers(trx, { tenantId: user.tenantId, teamId: id }, members);
      return teamAfter(trx, id);
    }),
  );
}

async function assertAgents({ people }: FlowParts, user: UserIdentity, userIds: readonly string[]): Promise<void> {
  const found = await Promise.all(userIds.map((id) => people.find(user, id)));
  if (!found.every(mayTakeComplaints)) throw new AppError('unknown_assignee');
}

async function teamAfter(trx: Trx, id: string): Promise<TeamWithMembers> {
  const team = await findTeam(trx, id);
  if (team === undefined) throw new Error('a team is missing immediately after it was written');
  return team;
}
