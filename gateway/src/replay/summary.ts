import type { Outcome } from './decide-again.ts';
import type { Decision, LogLine } from './log-line.ts';

/** Requests with one change, by the caller's role and tenant. */
export type ChangeGroup = Counted &
  Readonly<{
    access: 'lost' | 'gained' | 'kept' | 'refused';
    before: Decision;
    after: Decision;
  }>;

/** Requests of one route whose decision is unknown for the same reason. */
export type UnknownGroup = Counted & Readonly<{ route: string | undefined; lacks: string }>;

type Counted = {
  /** Null in the group of all that did not get one of their own. */
  readonly role: string | null | undefined;
  readonly tenant: string | null | undefined;
  requests: number;
  /** How many users and OAuth clients. If not `exact`, there may be more. Anonymous callers are not counted. */
  callers: number;
  isExact: boolean;
  readonly requestIds: string[];
};

const maxGroups = 10_000;
const maxCallers = 200_000;
const maxRequestIds = 3;
const maxBroken = 10;

/** Counts the outcomes of a replay in bounded memory. */
export class Summary {
  readonly counts = { same: 0, changed: 0, unknown: 0, token: 0, undecided: 0 };
  otherLines = 0;
  brokenLines = 0;
  /** The first ones, as `file:line`. */
  readonly broken: string[] = [];
  /** Refused tokens, by code. */
  readonly tokens = new Map<string, number>();
  readonly #changes = new Map<string, ChangeGroup>();
  readonly #unknowns = new Map<string, UnknownGroup>();
  readonly #callers = new Set<string>();

  addBroken(place: string): void {
    this.brokenLines += 1;
    if (this.broken.length < maxBroken) this.broken.push(place);
  }

  add(line: LogLine, outcome: Outcome): void {
    this.counts[outcome.is] += 1;
    if (outcome.is === 'token') this.tokens.set(line.code ?? '', (this.tokens.get(line.code ?? '') ?? 0) + 1);
    if (outcome.is === 'changed') {
      const { before, after } = outcome;
      const key = [before.route, before.code, before.kind, after.route, after.code, after.kind].join(' ');
      this.#count(this.#changes, key, line, (own) => ({ ...own, access: accessOf(before, after), before, after }));
    }
    if (outcome.is === 'unknown') {
      const { lacks } = outcome;
      const { route } = line;
      this.#count(this.#unknowns, `${route} ${lacks}`, line, (own) => ({ ...own, route, lacks }));
    }
  }

  /** The largest first, lost access before the rest. */
  get changes(): readonly ChangeGroup[] {
    const rank = { lost: 0, gained: 1, kept: 2, refused: 3 };
    return [...this.#changes.values()].sort((a, b) => rank[a.access] - rank[b.access] || b.requests - a.requests);
  }

  get unknowns(): readonly UnknownGroup[] {
    return [...this.#unknowns.values()].sort((a, b) => b.requests - a.requests);
  }

  #count<Group extends Counted>(
    groups: Map<string, Group>,
    key: string,
    line: LogLine,
    make: (own: Counted) => Group,
  ): void {
    const { caller, tenant_id: tenant } = line;
    const own = `${key} ${caller?.role} ${tenant}`;
    const isOwn = groups.has(own) || groups.size < maxGroups;
    const place = isOwn ? own : key;
    let group = groups.get(place);
    if (group === undefined) {
      const whose = isOwn ? { role: caller?.role, tenant } : { role: null, tenant: null };
      group = make({ ...whose, requests: 0, callers: 0, isExact: true, requestIds: [] });
      groups.set(place, group);
    }
    group.requests += 1;
    if (group.requestIds.length < maxRequestIds) group.requestIds.push(line.request_id);
    const id = line.user_id ?? line.client_id ?? line.service_id;
    if (id === undefined) return;
    const known = `${place} ${caller?.iss} ${tenant} ${id}`;
    if (this.#callers.has(known)) return;
    if (this.#callers.size < maxCallers) {
      this.#callers.add(known);
      group.callers += 1;
    } else group.isExact = false;
  }
}

function accessOf(before: Decision, after: Decision): ChangeGroup['access'] {
  if (before.code === undefined) return after.code === undefined ? 'kept' : 'lost';
  return after.code === undefined ? 'gained' : 'refused';
}
