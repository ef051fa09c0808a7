import { idPattern, isAuthMethod, isUnixSeconds, rolePattern } from '@countersign/identity';
import { isBase64url } from '@countersign/jwks';
import { z } from 'zod';
import type { ClaimPath, Issuer } from '../../config/config.ts';
import type { Claims } from '../claims.ts';
import { visibleText } from '../dpop-proof.ts';
import { claimOf, foundAt, keptValues, type Payload, pathText, readPath, textsOf } from './claim-path.ts';
import { copiedClaims } from './copied-claims.ts';
import { variableOf } from './find-issuer.ts';
import { described, type Finding, finding } from './finding.ts';
import { readActor } from './read-actor.ts';
import { compileSource, type Unread, type Value } from './value-source.ts';

/** The limit for encoded subjects, which gives at most 128 base64url characters. */
const maxEncodedBytes = 96;

/** The values that a claim may have, and how to describe them to operators. */
type Grammar = Readonly<{ pattern: RegExp; wanted: string }>;

const id: Grammar = { pattern: idPattern, wanted: 'letters, digits and "._~:@|-", at most 128' };
const roleName: Grammar = { pattern: rolePattern, wanted: 'lower-case letters, digits, "_" and "-", at most 64' };
const visible: Grammar = { pattern: visibleText, wanted: 'visible characters' };
const subjectText: Grammar = { pattern: /^[^\0]{1,256}$/, wanted: 'a text' };
const anyText: Grammar = { pattern: /^[\s\S]+$/, wanted: 'a text' };

const authMethods = z.array(z.string().refine(isAuthMethod)).max(16);

const thumbprint = z.string().refine((value) => isBase64url(value, 32));
/** Refuses other members (RFC 7800), which could bind the token to something that the gateway does not check. */
const confirmation = z
  .strictObject({ jkt: thumbprint.optional(), 'x5t#S256': thumbprint.optional() })
  .refine((members) => Object.keys(members).length > 0);

type ClaimKey = 'role' | 'tenantId';

type Sources = Readonly<ReturnType<typeof compileSources>>;

export function compileSources({ claims, machines }: Issuer) {
  return {
    role: compileSource(claims.role),
    tenantId: compileSource(claims.tenantId),
    oauthClientRole: machines.role && compileSource(machines.role),
    oauthClientTenant: machines.tenantId && compileSource(machines.tenantId),
  };
}

export class ClaimReader {
  readonly #payload: Payload;
  readonly #issuer: Issuer;
  readonly #sources: Sources;
  readonly #report: (finding: Finding) => void;

  constructor(payload: Payload, issuer: Issuer, sources: Sources, report: (finding: Finding) => void) {
    this.#payload = payload;
    this.#issuer = issuer;
    this.#sources = sources;
    this.#report = report;
  }

  /** A value that was reported is empty. */
  read(kind: Claims['kind'], clientId: string | undefined): Claims {
    const issuer = this.#issuer;
    const iss = String(claimOf(this.#payload, 'iss'));
    const variable = issuer.template && variableOf(iss, issuer);
    this.#checkVariable(variable);
    const ownIssuer = issuer.template === undefined ? issuer.issuer : iss;
    const { jkt, certificate } = this.#confirmation();
    const { actor, finding: refused } = readActor(this.#payload, ownIssuer);
    if (refused !== undefined) this.#report(refused);
    const common = {
      issuer: ownIssuer,
      subject: this.#subject(),
      tokenId: issuer.isStrict || this.#has('jti') ? this.#text(['jti'], visible) : undefined,
      sessionId: this.#sessionId(kind),
      issuedAtSec: this.#time('iat'),
      expiresAtSec: this.#time('exp'),
      authTimeSec: this.#has('auth_time') ? this.#time('auth_time') : undefined,
      authMethods: this.#authMethods(),
      jkt,
      certificate,
      scope: this.#scope(),
      act: actor,
      kept: keptValues(this.#payload, issuer.kept.claims),
      copied: copiedClaims(this.#payload, issuer.kept.copied),
    };
    return kind === 'client'
      ? { ...common, ...this.#oauthClient(clientId, variable) }
      : { ...common, ...this.#user(clientId, variable) };
  }

  #user(clientId: string | undefined, variable: string | undefined) {
    const { role, tenantId } = this.#sources;
    const { tenantPrefix } = this.#issuer;
    const roles = role(this.#payload, variable);
    if (this.#issuer.isStrict && clientId !== undefined) this.#validClientId(clientId);
    return {
      kind: 'user',
      userId: this.#userId(),
      role: this.#value('role', roles, roleName),
      tenantId: this.#value('tenantId', tenantId(this.#payload, variable), id, tenantPrefix),
      clientId,
      roles: this.#roles(roles),
    } as const;
  }

  #oauthClient(clientId: string | undefined, variable: string | undefined) {
    const { oauthClientRole, oauthClientTenant } = this.#sources;
    const { machines, tenantPrefix } = this.#issuer;
    const source = machines.role;
    // Some providers give roles only to some OAuth clients.
    const hasRole = source?.kind !== 'claim' || readPath(this.#payload, source.path) !== 'absent';
    const role = hasRole ? oauthClientRole?.(this.#payload, variable) : undefined;
    const tenant = oauthClientTenant?.(this.#payload, variable);
    return {
      kind: 'client',
      userId: undefined,
      role: role && this.#value('role', role, roleName),
      tenantId: tenant && this.#value('tenantId', tenant, id, tenantPrefix),
      clientId: this.#validClientId(clientId),
      roles: role === undefined ? [] : this.#roles(role),
    } as const;
  }

  /** Omits roles that the issuer may not assign. The first such role refuses the token. */
  #roles(value: Value): readonly string[] {
    const { roles } = this.#issuer;
    const all = 'text' in value ? (value.all ?? []) : [];
    return roles === undefined ? all : all.filter((role) => roles.has(role));
  }

  #validClientId(clientId: string | undefined): string {
    if (clientId !== undefined && idPattern.test(clientId)) return clientId;
    const fix = 'set claims.client to the claim that contains the OAuth client';
    return this.#invalid(this.#issuer.claims.client.join(' or '), id.wanted, described(clientId), fix);
  }

  #scope(): readonly string[] {
    const { claims, kept } = this.#issuer;
    const read = readPath(this.#payload, claims.scope);
    if (read === 'absent') return [];
    const scopes = read === 'blocked' ? undefined : textsOf(read.value, claims.scope);
    if (scopes === undefined) {
      const fix = 'set claims.scope to another claim';
      this.#invalid(pathText(claims.scope), 'a text, or a list of texts', foundAt(read), fix);
      return [];
    }
    return [...new Set(scopes.filter((scope) => kept.scopes.has(scope)))];
  }

  // Reads only own members, because a claim name must not match a value on Object.prototype.
  #has(name: string): boolean {
    return Object.hasOwn(this.#payload, name);
  }

  #invalid(claim: string, wanted: string, found: string, fix: string): '' {
    this.#report(finding('token_claims_invalid', claim, wanted, found, fix));
    return '';
  }

  #text(path: ClaimPath, { pattern, wanted }: Grammar, fix = 'the provider must add this claim'): string {
    const read = readPath(this.#payload, path);
    const value = typeof read === 'string' ? undefined : read.value;
    if (typeof value === 'string' && pattern.test(value)) return value;
    return this.#invalid(pathText(path), wanted, foundAt(read), fix);
  }

  /** Reads the raw `sub`. Its grammar is wider if ids are encoded. */
  #subject(): string {
    return this.#issuer.subjectEncoding === 'base64url'
      ? this.#text(['sub'], subjectText)
      : this.#text(['sub'], visible, "set subjectEncoding: base64url if the provider's subjects need it");
  }

  #userId(): string {
    const { claims, subjectEncoding, userPrefix } = this.#issuer;
    const claim = pathText(claims.userId);
    const fix = 'set claims.userId to another claim, or set subjectEncoding: base64url';
    if (subjectEncoding === 'none') return this.#prefixed(this.#text(claims.userId, id, fix), userPrefix, claim);
    const bytes = Buffer.from(this.#text(claims.userId, anyText, 'set claims.userId to another claim'));
    if (bytes.length <= maxEncodedBytes) return this.#prefixed(bytes.toString('base64url'), userPrefix, claim);
    return this.#invalid(claim, `at most ${maxEncodedBytes} bytes`, `${bytes.length} bytes`, fix);
  }

  /** @param value Empty if the problem was already reported. */
  #prefixed(value: string, prefix: string, claim: string): string {
    if (value === '') return '';
    const whole = prefix + value;
    if (idPattern.test(whole)) return whole;
    return this.#invalid(claim, `${id.wanted}, with the prefix "${prefix}"`, described(value), 'shorten the prefix');
  }

  #value(key: ClaimKey, value: Value, { pattern, wanted }: Grammar, prefix = ''): string {
    if (!('text' in value)) return this.#unread(key, value);
    const whole = prefix + value.text;
    if (pattern.test(value.text) && pattern.test(whole)) return whole;
    const { path = [key] } = this.#issuer.claims[key] as { path?: ClaimPath };
    return this.#invalid(pathText(path), wanted, described(value.text), `map its values in claims.${key}`);
  }

  /** A strict issuer always sends its claims (RFC 9068), so only a map can leave its users without a role. */
  #unread(key: ClaimKey, value: Unread): '' {
    const { claim, wanted, found, missing } = value;
    if (missing === undefined || (missing === 'claim' && this.#issuer.isStrict)) {
      return this.#invalid(claim, wanted, found, this.#fixFor(key, value));
    }
    const [code, what] =
      key === 'role' ? (['role_missing', 'a role'] as const) : (['tenant_missing', 'a tenant'] as const);
    const fix = `assign ${what} at the provider, map the token's value in claims.${key}, or set otherwise there`;
    this.#report(finding(code, claim, wanted, found, fix));
    return '';
  }

  #fixFor(key: string, { claim, found, isList }: Unread): string {
    if (isList !== true || found === '[]') return `change claims.${key}, or the claim at the provider`;
    return `the claim is a list: choose one of its values with claims.${key}: { from: ${claim}, map: { … } }`;
  }

  #sessionId(kind: Claims['kind']): string | undefined {
    const { claims, revocations, events } = this.#issuer;
    const isRequired = kind === 'user' && (revocations !== undefined || events?.sessions === true);
    if (!isRequired && readPath(this.#payload, claims.sessionId) === 'absent') return undefined;
    return this.#text(claims.sessionId, id, 'set claims.sessionId to another claim');
  }

  #time(name: string): number {
    const value = claimOf(this.#payload, name);
    if (isUnixSeconds(value)) return value;
    this.#invalid(name, 'whole seconds since 1970', described(value), 'the provider must send a number');
    return Number.NaN;
  }

  #authMethods(): readonly string[] | undefined {
    if (!this.#has('amr')) return undefined;
    const { amr } = this.#payload;
    const { data } = authMethods.safeParse(amr);
    // Providers use other shapes, and a service must not receive a shape that it does not know.
    if (data === undefined && this.#issuer.isStrict) {
      this.#invalid('amr', 'a list of methods', described(amr), 'see RFC 8176');
    }
    return data;
  }

  #confirmation(): Readonly<{ jkt: string | undefined; certificate: string | undefined }> {
    if (!this.#has('cnf')) return { jkt: undefined, certificate: undefined };
    const { data } = confirmation.safeParse(this.#payload.cnf);
    if (data === undefined) {
      const wanted = 'jkt (RFC 9449) or x5t#S256 (RFC 8705)';
      const fix = 'bind the token with DPoP or a client certificate';
      this.#invalid('cnf', wanted, described(this.#payload.cnf), fix);
    }
    return { jkt: data?.jkt, certificate: data?.['x5t#S256'] };
  }

  /** Some providers repeat the issuer's variable in a claim. If the two differ, one of them is false. */
  #checkVariable(variable: string | undefined): void {
    const { template, provider } = this.#issuer;
    if (template === undefined) return;
    // Entra's claim is always `tid`, whatever name the file gives the variable.
    const names = provider === 'entra' ? new Set([template.variable, 'tid']) : [template.variable];
    for (const name of names) {
      if (!this.#has(name) || this.#payload[name] === variable) continue;
      this.#invalid(name, described(variable), described(this.#payload[name]), 'the claim must equal the value in iss');
    }
  }
}
