import type { Outcome } from './decide-again.ts';
import type { Decision, LogLine } from './log-line.ts';

/** Requests with the same change, or the same reason why it is unknown, of one role and tenant. Also the JSON form. */
export type Group = Readonly<{
  access: 'lost' | 'gained' | 'kept' | 'refused' | 'unknown';
  before: Decision;
  after: Decision | undefined;
  lacks: string | undefined;
  /** `*` in the group of all roles and tenants that did not get one of their own. */
  role: string | undefined;
  tenant: string | undefined;
}> & {
  requests: number;
  /** How many users, OAuth clients or services. If not exact, there may be more. */
  callers: number;
  callers_exact: boolean;
  readonly request_ids: string[];
};

const maxGroups = 10_000;
const maxCallers = 200_000;
const maxRequestIds = 3;
const maxBroken = 10;
const rank = { lost: 0, gained: 1, kept: 2, refused: 3, unknown: 4 };

/** Counts the outcomes of a replay in bounded memory. */
export class Summary {
  readonly counts = { same: 0, changed: 0, unknown: 0, token: 0, undecided: 0 };
  readonly lines = { other: 0, broken: 0, first_broken: [] as string[] };
  /** Requests with a refused token, by code. */
  readonly tokens: Record<string, number> = Object.create(null);
  readonly #groups = new Map<string, Readonly<{ group: Group; callers: Set<string> }>>();
  #callers = 0;

  addBroken(place: string): void {
    this.lines.broken += 1;
    if (this.lines.first_broken.length < maxBroken) this.lines.first_broken.push(place);
  }

  add(line: LogLine, outcome: Outcome): void {
    this.counts[outcome.is] += 1;
    if (outcome.is === 'token') this.tokens[`${line.code}`] = (this.tokens[`${line.code}`] ?? 0) + 1;
    if (outcome.is !== 'changed' && outcome.is !== 'unknown') return;
    const { caller, tenant_id: tenant } = line;
    const { is: _, ...decided } = { after: undefined, lacks: undefined, ...outcome };
    const { before, after, lacks } = decided;
    const kind = [before.route, before.code, before.kind, after?.route, after?.code, after?.kind, lacks].join(' ');
    let key = `${kind} ${caller?.role} ${tenant}`;
    if (!this.#groups.has(key) && this.#groups.size >= maxGroups) key = kind;
    let entry = this.#groups.get(key);
    if (entry === undefined) {
      const group = {
        ...decided,
        access: after === undefined ? ('unknown' as const) : accessOf(before, after),
        ...(key === kind ? { role: '*', tenant: '*' } : { role: caller?.role, tenant }),
        requests: 0,
        callers: 0,
        callers_exact: true,
        request_ids: [],
      };
      entry = { group, callers: new Set() };
      this.#groups.set(key, entry);
    }
    const { group, callers } = entry;
    group.requests += 1;
    if (group.request_ids.length < maxRequestIds) group.request_ids.push(line.request_id);
    const id = line.user_id ?? line.client_id ?? line.service_id;
    const known = `${caller?.iss} ${tenant} ${id}`;
    if (id === undefined || callers.has(known)) return;
    group.callers_exact = this.#callers < maxCallers;
    if (!group.callers_exact) return;
    callers.add(known);
    this.#callers += 1;
    group.callers += 1;
  }

  /** Lost access first, and in each kind the largest. */
  get groups(): readonly Group[] {
    const groups = Array.from(this.#groups.values(), ({ group }) => group);
    return groups.sort((a, b) => rank[a.access] - rank[b.access] || b.requests - a.requests);
  }
}

function accessOf(before: Decision, after: Decision): Group['access'] {
  if (before.code === undefined) return after.code === undefined ? 'kept' : 'lost';
  return after.code === undefined ? 'gained' : 'refused';
}
