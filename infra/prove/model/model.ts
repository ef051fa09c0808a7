import { AppError } from '../../../gateway/src/errors.ts';
import type { IdentityRefused } from '../../../packages/identity/src/contract/refusal.ts';
import type { DatedKey } from '../../../packages/identity/src/keys/agreement-schedule.ts';
import type { Asked, Copy, Rules } from './rules.ts';

/** An instance of a service, and the difference of its clock from the gateway's. */
export type Instance = { audience: string; clockSec: number; agreed: 'no' | 'memory' | 'directory' };
export type Event = 'hold' | 'alter' | 'answer' | 'late body' | 'restart' | 'log out' | KeyEvent;
type KeyEvent = 'cut' | 'made-up keyid' | 'new gateway key' | 'new service key';

export type Scenario = {
  requests: readonly Asked[];
  instances: readonly Instance[];
  sharesNonces: boolean;
  /** What the attacker may do, and what may happen. */
  may: readonly Event[];
  /** When the gateway's other keys were made, if it has some from the beginning. */
  newKeysSec?: readonly number[];
};

type Memory = { startSec: number; nonces: { nonce: string; untilSec: number }[] };
type Running = Instance & Memory & { starts: number; fetchedSec: number; cooldownSec: number };
type Key = { madeSec: number; untilSec: number };
/** The exchange with the client that waits for an answer. */
type Open = { copy: Copy; isRepeated: boolean; waits: number; retries: number; stage: 'unsent' | 'sent' | 'due' };

/** What happens, and the change of the state. A verdict that the change returns is part of the text. */
export type Step = readonly [what: string, change: Partial<State> | ((s: State) => unknown)];

/** All that the parties and the attacker know. `nowSec` is the gateway's clock, and the index of a key is its name. */
export type State = {
  nowSec: number;
  asked: number;
  open?: Open | undefined;
  copies: Copy[];
  late: { copy: Copy; index: number }[];
  instances: Running[];
  gatewayKeys: Key[];
  serviceKeysSec: number[];
  /** The key that the gateway agreed on, when that was confirmed, and which one the service refused, until when. */
  agreed: { kid?: string | undefined; atSec: number; refused: string; untilSec: number };
  isCut: boolean;
  loggedOutSec: number;
  handled: string[];
  brokenPromise?: string;
};

const longAgoSec = -1_000_000;
const neverSec = 1_000_000_000;
const fields = ['method', 'path', 'body', 'caller', 'audience', 'nonce', 'expiresSec'];
/** How much later than the first instance the others read the service's directory: less than `settleSec`. */
const readLagSec = 29;
/** How long a logout takes to reach the gateway. */
const logoutSec = 1;

export function createModel({ requests, instances, sharesNonces, may, newKeysSec = [] }: Scenario, rules: Rules) {
  const { freshness, publishAheadSec: aheadSec } = rules;
  const { toleranceSec } = freshness;
  const unknown = { atSec: longAgoSec, refused: '', untilSec: longAgoSec };
  const started = { startSec: longAgoSec, nonces: [], starts: 0, fetchedSec: 0, cooldownSec: longAgoSec };
  const initial: State = {
    ...{ nowSec: 0, loggedOutSec: neverSec, asked: 0, copies: [], late: [], handled: [], isCut: false },
    instances: instances.map((one) => ({ ...one, ...started })),
    gatewayKeys: [longAgoSec, ...newKeysSec].map((madeSec) => ({ madeSec, untilSec: neverSec })),
    ...{ serviceKeysSec: [longAgoSec], agreed: unknown },
  };
  poll(initial, 0);

  const nameOf = ({ nonce, key }: Copy) => `${nonce}, signed with ${key},`;
  const ask = (s: State, copy: Copy) => send(s, { copy, isRepeated: false, waits: 0, retries: 0 });
  const askedOf = ({ request }: Copy) => requests[request] as Asked;
  const isLoggedOut = (s: State) => rules.checksTokenAgain && s.nowSec >= s.loggedOutSec + logoutSec;

  function poll(s: State, atSec: number): void {
    if (s.isCut || atSec <= s.agreed.atSec) return;
    s.agreed = { ...s.agreed, kid: serviceKids(s, 0, atSec, 'published')[0], atSec };
  }

  function sign(s: State, request: number, mayAgree = true): Copy {
    const { nowSec, agreed, copies } = s;
    const maySign = (key: Key) => key.madeSec + aheadSec <= nowSec && nowSec < key.untilSec;
    const isRefused = agreed.kid === agreed.refused && nowSec < agreed.untilSec;
    const isAgreed = mayAgree && agreed.kid !== undefined && !isRefused && nowSec <= agreed.atSec + rules.maxAgeSec;
    const key = `g${s.gatewayKeys.findLastIndex(maySign)}${isAgreed ? `.${agreed.kid}` : ''}`;
    return { request, key, nonce: `n${copies.length}`, createdSec: nowSec, expiresSec: nowSec + rules.lifetimeSec };
  }

  function send(s: State, open: Omit<Open, 'stage'>): void {
    // The attacker may prevent the connection for a repeat, and then does not have it.
    const stage = may.includes('answer') && open.isRepeated ? 'unsent' : 'sent';
    s.open = { ...open, stage };
    if (stage === 'sent') s.copies.push(open.copy);
  }

  /** What the gateway does after an answer, which may be the attacker's. */
  function onAnswer(s: State, verdict: string): void {
    const open = s.open as Open;
    const { copy, isRepeated, waits, retries, stage } = open;
    const outbound = { method: askedOf(copy).method, body: undefined };
    const progress = stage === 'unsent' ? 'unsent' : 'sent';
    const failed = { code: `upstream_${progress === 'sent' ? 'broken' : 'unreachable'}`, progress } as const;
    s.open = undefined;
    if (waits < 2 && rules.isTooEarly(outbound, new AppError('identity_refused', { detail: { reason: verdict } })))
      s.open = { ...open, stage: 'due' };
    else if (isLoggedOut(s)) return;
    else if (verdict === 'key_unknown' && copy.key.includes('.') && !isRepeated && rules.repeats) {
      s.agreed = { ...s.agreed, refused: copy.key.split('.')[1] ?? '', untilSec: s.nowSec + rules.fallbackSec };
      send(s, { ...open, isRepeated: true, copy: { ...sign(s, copy.request, false), ...rules.repeatOf(copy) } });
    } else if (verdict === 'broken' && retries === 0 && rules.mayRetry(outbound, failed, true)) {
      const keeps = isRepeated && stage === 'unsent' && rules.keepsNonce;
      send(s, { ...open, retries: 1, copy: { ...sign(s, copy.request, !keeps), ...(keeps && rules.repeatOf(copy)) } });
    }
  }

  function serviceKids(s: State, index: number, atSec: number, use: 'published' | 'accepted'): string[] {
    const { agreed, clockSec, starts } = s.instances[index] as Running;
    if (agreed !== 'directory') return agreed === 'no' ? [] : [`m${starts}`];
    const keys = s.serviceKeysSec.map((createdSec, at) => ({ createdSec, kid: `s${at}` }));
    const read = keys.filter(({ createdSec }) => createdSec <= atSec - (index && readLagSec)) as unknown as DatedKey[];
    return rules.scheduleKeys(read, atSec + clockSec, neverSec)[use].map(({ kid }) => kid);
  }

  function knows({ gatewayKeys }: State, { fetchedSec }: Running, kid: string): boolean {
    const { madeSec, untilSec } = gatewayKeys[Number.parseInt(kid.slice(1), 10)] ?? { madeSec: neverSec, untilSec: 0 };
    return madeSec <= fetchedSec && fetchedSec < untilSec + toleranceSec;
  }

  /** Fetches the gateway's key set if it is not known to have the key. */
  function fetchFor(s: State, one: Running, kid: string): void {
    if (s.isCut || knows(s, one, kid) || s.nowSec - one.cooldownSec < rules.cooldownSec) return;
    one.fetchedSec = s.nowSec;
    if (!knows(s, one, kid)) one.cooldownSec = s.nowSec;
  }

  function stalenessOf(s: State, copy: Copy, one: Running): string | undefined {
    try {
      rules.assertFresh(copy, s.nowSec + one.clockSec, freshness);
      return undefined;
    } catch (error) {
      return (error as IdentityRefused).reason;
    }
  }

  /** Rows 6 to 9 of the algorithm. @param field What the attacker has changed. */
  function head(s: State, copy: Copy, index: number, field?: string): string | undefined {
    const one = s.instances[index] as Running;
    const audience = field === 'audience' ? one.audience : askedOf(copy).audience;
    if (rules.checksAudience && audience !== one.audience) return 'audience_mismatch';
    const stale = field !== 'expiresSec' && stalenessOf(s, copy, one);
    if (stale) return stale;
    const [kid = '', serviceKid] = copy.key.split('.');
    if (serviceKid !== undefined && !serviceKids(s, index, s.nowSec, 'accepted').includes(serviceKid))
      return 'key_unknown';
    fetchFor(s, one, kid);
    if (!knows(s, one, kid)) return 'key_unknown';
    return field !== undefined && rules.covered.has(field) ? 'signature_invalid' : undefined;
  }

  /** Rows 11 and 12, and the handler. */
  function complete(s: State, copy: Copy, index: number, field?: string): string {
    const one = s.instances[index] as Running;
    const stale = rules.checksAfterBody && field !== 'expiresSec' && stalenessOf(s, copy, one);
    if (stale) return stale;
    const memory = sharesNonces ? (s.instances[0] as Running) : one;
    if (copy.createdSec < memory.startSec) return 'created_before_start';
    memory.nonces = memory.nonces.filter(({ untilSec }) => untilSec >= s.nowSec + one.clockSec);
    const nonce = field === 'nonce' ? 'another' : `${one.audience} ${rules.nonceOf(copy)}`;
    if (memory.nonces.some((known) => known.nonce === nonce)) return 'replayed';
    memory.nonces.push({ nonce, untilSec: rules.nonceKeepUntilSec(copy, freshness) });
    handle(s, copy, index, field);
    return 'handled';
  }

  function handle(s: State, copy: Copy, index: number, field?: string): void {
    const { method, audience } = askedOf(copy);
    // A client's GET may be handled twice (RFC 9110 section 9.2.2), but not one signed request.
    const what = `${sharesNonces ? '' : index} ${method === 'POST' ? copy.request : copy.nonce}`;
    if (field !== undefined) s.brokenPromise ??= `handled with another ${field}`;
    if (audience !== s.instances[index]?.audience) s.brokenPromise ??= 'handled by another service';
    if (s.handled.includes(what)) s.brokenPromise ??= 'handled twice';
    if (s.nowSec > s.loggedOutSec + logoutSec + rules.lifetimeSec + 2 * toleranceSec)
      s.brokenPromise ??= 'handled long after the logout';
    s.handled.push(what);
  }

  /** A whole request arrives. It must be handled if it is unused, unchanged and in time. */
  function deliver(s: State, copy: Copy, index: number, field?: string): string {
    const verdict = head(s, copy, index, field) ?? complete(s, copy, index, field);
    const isOutage = s.isCut && !knows(s, s.instances[index] as Running, copy.key);
    const isDue = field === undefined && !copy.key.includes('.m') && s.nowSec <= copy.expiresSec && !isOutage;
    if (isDue && !/^(handled|replayed|created_before_start|audience_mismatch)$/.test(verdict))
      s.brokenPromise ??= `an honest request was refused with ${verdict}`;
    return verdict;
  }

  function wait(s: State, toSec: number): void {
    s.nowSec = toSec;
    if (!s.isCut) for (const one of s.instances) one.fetchedSec = Math.max(one.fetchedSec, toSec - rules.keySetAgeSec);
    poll(s, s.agreed.kid === s.agreed.refused ? toSec : toSec - rules.refreshSec);
    const { open } = s;
    if (open?.stage !== 'due') return;
    s.open = undefined;
    if (!isLoggedOut(s)) send(s, { ...open, copy: sign(s, open.copy.request), waits: open.waits + 1 });
  }

  /** The next moments at which a rule has another result. */
  function moments({ nowSec, copies, instances: running, gatewayKeys, serviceKeysSec, agreed }: State): number[] {
    const times = [
      ...[nowSec + 1, agreed.untilSec, agreed.atSec + rules.maxAgeSec],
      ...running.flatMap(({ clockSec, nonces }) => [
        ...copies.map(({ expiresSec }) => expiresSec + toleranceSec - clockSec),
        ...nonces.map(({ untilSec }) => untilSec + 1 - clockSec),
      ]),
      ...gatewayKeys.flatMap(({ madeSec }) => [madeSec + aheadSec - 1, madeSec + aheadSec]),
      ...gatewayKeys.map(({ untilSec }) => untilSec + toleranceSec),
      ...serviceKeysSec.flatMap((sec) => [31, 930, 990, 5430].map((later) => sec + later)),
    ];
    const later = times.filter((sec) => sec > nowSec && sec < neverSec).sort((a, b) => a - b);
    return [...new Set(later)].slice(0, 3);
  }

  /** The steps that are possible in a state. */
  function* next({ nowSec, open, asked, late, gatewayKeys, serviceKeysSec, ...s }: State): Generator<Step> {
    const can = (event: Event) => may.includes(event);
    const [oldKey, newKey] = gatewayKeys;
    if (!open && asked < requests.length && nowSec < s.loggedOutSec + logoutSec)
      yield ['the client asks', (t) => ask(t, sign(t, t.asked++))];
    if (open?.stage === 'unsent') {
      yield [`${open.copy.nonce} is sent`, { open: { ...open, stage: 'sent' }, copies: [...s.copies, open.copy] }];
      yield [`${open.copy.nonce} finds no connection`, (t) => onAnswer(t, 'broken')];
    }
    if (open?.stage === 'sent') {
      const { copy } = open;
      for (const [index, { audience }] of instances.entries())
        if (audience === askedOf(copy).audience)
          yield [`${nameOf(copy)} arrives at instance ${index}`, (t) => arrive(t, copy, index)];
      for (const reason of can('answer') ? ['key_unknown', 'created_before_start', 'broken'] : [])
        yield [`the attacker answers ${reason} to ${nameOf(copy)}`, (t) => onAnswer(t, reason)];
    }
    for (const copy of can('hold') ? s.copies : []) yield* attacks(copy);
    for (const { copy, index } of late)
      yield [`the body of ${nameOf(copy)} ends at instance ${index}`, (t) => complete(t, copy, index)];
    for (const [index, { starts }] of s.instances.entries()) {
      if (can('restart') && starts < 2) yield [`instance ${index} restarts`, (t) => restart(t, index)];
      if (can('made-up keyid'))
        yield [`instance ${index} sees a made-up keyid`, (t) => fetchFor(t, t.instances[index] as Running, 'none')];
    }
    if (can('restart'))
      yield ['the gateway restarts', (t) => poll(Object.assign(t, { open: undefined, agreed: unknown }), nowSec)];
    if (can('log out') && s.loggedOutSec === neverSec) yield ['the caller logs out', { loggedOutSec: nowSec }];
    if (can('cut')) yield [s.isCut ? 'fetches of keys succeed' : 'fetches of keys fail', { isCut: !s.isCut }];
    if (can('new gateway key') && newKey === undefined)
      yield ['the gateway gets a new key', { gatewayKeys: [...gatewayKeys, { madeSec: nowSec, untilSec: neverSec }] }];
    if (oldKey?.untilSec === neverSec && newKey && newKey.madeSec + aheadSec <= nowSec)
      yield ['the old key is retired', { gatewayKeys: [{ ...oldKey, untilSec: nowSec + rules.runOutSec }, newKey] }];
    if (can('new service key')) yield ["the gateway fetches the service's keys", (t) => poll(t, nowSec)];
    if (can('new service key') && serviceKeysSec.length < 2)
      yield ['the service gets a new key', { serviceKeysSec: [...serviceKeysSec, nowSec] }];
    for (const sec of moments({ nowSec, gatewayKeys, serviceKeysSec, ...s } as State))
      yield [`${sec - nowSec} s pass`, (t) => wait(t, sec)];
  }

  function* attacks(copy: Copy): Generator<Step> {
    for (const index of instances.keys()) {
      const to = `${nameOf(copy)} to instance ${index}`;
      yield [`the attacker delivers ${to}`, (t) => deliver(t, copy, index)];
      for (const field of may.includes('alter') ? fields : [])
        yield [`the attacker delivers ${to} with another ${field}`, (t) => deliver(t, copy, index, field)];
      if (may.includes('late body'))
        yield [`only the head of ${to}`, (t) => head(t, copy, index) ?? void t.late.push({ copy, index })];
    }
  }

  function arrive(s: State, copy: Copy, index: number): string {
    const verdict = deliver(s, copy, index);
    onAnswer(s, verdict);
    return verdict;
  }

  function restart(s: State, index: number): void {
    const one = s.instances[index] as Running;
    const memory = sharesNonces ? {} : { startSec: rules.memoryStartSec(s.nowSec + one.clockSec), nonces: [] };
    Object.assign(one, { starts: one.starts + 1, fetchedSec: s.nowSec }, memory);
    s.late = [];
  }

  /** Whether an honest POST is handled within a minute if the attacker stops. Changes the state. */
  function settles(s: State): boolean {
    Object.assign(s, { isCut: false, open: undefined, loggedOutSec: neverSec });
    for (let sec = 1; sec <= 60; sec += 1) {
      wait(s, s.nowSec + 1);
      ask(s, { ...sign(s, 0), nonce: `probe ${sec}` });
      for (let tries = 0; tries < 3 && s.open !== undefined; tries += 1)
        if (arrive(s, s.open.copy, 0) === 'handled') return true;
    }
    return false;
  }

  return { initial, next, settles };
}
