import type { Issuer } from '../../config/config.ts';
import { standardClient } from '../../config/presets.ts';
import { claimOf, type Payload, textsOf } from './claim-path.ts';
import { isMet } from './conditions.ts';
import { described, type Finding, finding, oneOfThese } from './finding.ts';

/** The client of a token, as far as its claims agree. */
export type TokenClient = Readonly<{ id: string | undefined; finding: Finding | undefined }>;

/** Checks `aud`. A list of clients takes its place only for providers whose tokens have none. */
export function audienceFinding(payload: Payload, issuer: Issuer, { id }: TokenClient): Finding | undefined {
  const { audience, mayLackAudience, clients } = issuer;
  const aud = claimOf(payload, 'aud');
  if (!Object.hasOwn(payload, 'aud') && mayLackAudience && clients !== undefined) return undefined;
  const refused = (wanted: string, fix: string) =>
    finding('token_audience_refused', 'aud', wanted, described(aud), fix);
  const named = textsOf(aud, ['aud']) ?? [];
  if (!named.some((one) => audience.includes(one))) {
    const wanted = audience.length === 0 ? 'nothing: the configuration has no audience' : oneOfThese(audience);
    return refused(
      wanted,
      'ask the provider for a token for this API, or add the value to audience if it names this API alone',
    );
  }
  // An ID token for several clients says in `azp` which of them it was issued to (OpenID Connect Core section 3.1.3.7).
  if (issuer.types.includes('id-token') && named.length > 1 && clients === undefined && !audience.includes(id ?? '')) {
    return refused(`one value, or azp ${oneOfThese(audience)}`, 'list the client in clients, or in audience');
  }
  return undefined;
}

/**
 * Reads the client. Two claims that differ refuse the token: which of them is right would be a guess. That also holds for
 * `client_id` and `azp` where neither is the claim with the client.
 */
export function clientOf(payload: Payload, { claims, clients }: Issuer): TokenClient {
  const refused = (claim: string, wanted: string, found: unknown, fix: string): TokenClient => ({
    id: undefined,
    finding: finding('token_client_refused', claim, wanted, described(found), fix),
  });
  for (const names of [claims.client, standardClient]) {
    const given = names.filter((name) => Object.hasOwn(payload, name));
    for (const name of given) {
      const one = payload[name];
      if (typeof one !== 'string' || one === '')
        return refused(name, 'a text', one, 'the provider must send one client');
      const [first = name] = given;
      if (one === payload[first]) continue;
      const wanted = `the same as ${first}: ${described(payload[first])}`;
      return refused(name, wanted, one, 'the provider must send the same client in both');
    }
  }
  const [name] = claims.client.filter((one) => Object.hasOwn(payload, one));
  const id = name === undefined ? undefined : String(payload[name]);
  if (clients === undefined || (id !== undefined && clients.includes(id))) return { id, finding: undefined };
  const fix = 'use one of these clients, or add this one to clients';
  return refused(name ?? claims.client.join(' or '), oneOfThese(clients), id, fix);
}

/** Whether a token belongs to a machine, which is never a user. `finding`: the issuer's machines are not accepted. */
export type MachineCheck = Readonly<{ isMachine: boolean; finding: Finding | undefined }>;

export function checkMachine(payload: Payload, { machines, claims }: Issuer, client: TokenClient): MachineCheck {
  const sub = claimOf(payload, 'sub');
  const names = [...claims.client, ...standardClient];
  const isItsClient =
    typeof sub === 'string' && (sub === client.id || names.some((name) => claimOf(payload, name) === sub));
  const isMachine = isItsClient || isMet(machines.when, payload);
  if (!isMachine || machines.isAccepted) return { isMachine, finding: undefined };
  const [claim, found] = isItsClient ? ['sub', 'the client itself'] : ['machines', 'the token of a machine'];
  const fix = 'log in as a person, or set machines for this issuer and allow.clients on the route';
  return { isMachine, finding: finding('token_machine_refused', claim, 'the token of a person', found, fix) };
}
