import { idPattern, isAuthMethod, isUnixSeconds, rolePattern } from '@countersign/identity';
import type { ClaimPath, Issuer } from '../../config/issuer.ts';
import { isCanonicalBase64url } from '../compact-token.ts';
import { type Claims, visibleText } from '../verified-token.ts';
import { claimOf, type Payload, pathText, readPath } from './claim-path.ts';
import { variableOf } from './find-issuer.ts';
import { described, type Finding } from './finding.ts';
import { compileSource, type ReadValue, type Value } from './value-source.ts';

/** For subjects that are encoded: at most 128 characters of base64url. */
const maxEncodedBytes = 96;
const maxAuthMethods = 16;
const thumbprintLength = 43;

const idGrammar = 'letters, digits and "._~:@|-", 128 at most';
const roleGrammar = 'lower-case letters, digits, "_" and "-", 64 at most';

type Sources = Readonly<{ role: ReadValue; tenantId: ReadValue }>;
const compiled = new WeakMap<Issuer, Sources>();

/** Compiles the claims of an issuer once for each configuration. */
export function sourcesOf(issuer: Issuer): Sources {
  let sources = compiled.get(issuer);
  if (sources === undefined) {
    sources = { role: compileSource(issuer.claims.role), tenantId: compileSource(issuer.claims.tenantId) };
    compiled.set(issuer, sources);
  }
  return sources;
}

/** Reads the claims of one token, and reports each that is missing or invalid. */
export class ClaimReader {
  readonly #payload: Payload;
  readonly #issuer: Issuer;
  readonly #report: (finding: Finding) => void;

  constructor(payload: Payload, issuer: Issuer, report: (finding: Finding) => void) {
    this.#payload = payload;
    this.#issuer = issuer;
    this.#report = report;
  }

  /** A value that was reported is empty. */
  read(): Claims {
    const issuer = this.#issuer;
    const iss = String(claimOf(this.#payload, 'iss'));
    const variable = issuer.template && variableOf(iss, issuer);
    const { role, tenantId } = sourcesOf(issuer);
    this.#checkVariable(variable);
    const { jkt, certificate } = this.#confirmation();
    return {
      issuer: issuer.template === undefined ? issuer.issuer : iss,
      subject: this.#subject(),
      tokenId: issuer.isStrict || this.#has('jti') ? this.#text(['jti'], visibleText, 'visible characters') : undefined,
      userId: this.#userId(),
      role: this.#value('role', role(this.#payload, variable), '', rolePattern, roleGrammar),
      tenantId: this.#value('tenantId', tenantId(this.#payload, variable), issuer.tenantPrefix, idPattern, idGrammar),
      sessionId: this.#sessionId(),
      issuedAtSec: this.#time('iat'),
      expiresAtSec: this.#time('exp'),
      authTimeSec: this.#has('auth_time') ? this.#time('auth_time') : undefined,
      authMethods: this.#authMethods(),
      jkt,
      certificate,
    };
  }

  // Own members only: a claim name must not find a value on Object.prototype.
  #has(name: string): boolean {
    return Object.hasOwn(this.#payload, name);
  }

  #invalid(claim: string, wanted: string, found: string, fix: string): '' {
    this.#report({ code: 'token_claims_invalid', claim, wanted, found, fix });
    return '';
  }

  #text(path: ClaimPath, grammar: RegExp, wanted: string, fix = 'the provider must add this claim'): string {
    const read = readPath(this.#payload, path);
    const value = typeof read === 'string' ? undefined : read.value;
    if (typeof value === 'string' && grammar.test(value)) return value;
    const found = read === 'blocked' ? 'a value that is not an object, on the way' : described(value);
    return this.#invalid(pathText(path), wanted, found, fix);
  }

  /** The raw `sub`. Its grammar is wider where ids are encoded. */
  #subject(): string {
    if (this.#issuer.subjectEncoding === 'base64url') return this.#text(['sub'], /^[^\0]{1,256}$/, 'a text');
    return this.#text(
      ['sub'],
      visibleText,
      'visible characters',
      'set subjectEncoding: base64url, if the provider needs it',
    );
  }

  #userId(): string {
    const { claims, subjectEncoding, userPrefix } = this.#issuer;
    const fix = 'name another claim in claims.userId, or set subjectEncoding: base64url';
    if (subjectEncoding === 'none') {
      const id = this.#text(claims.userId, idPattern, idGrammar, fix);
      return id === '' ? '' : this.#prefixed(id, userPrefix, pathText(claims.userId));
    }
    const value = this.#text(claims.userId, /^[\s\S]+$/, 'a text', 'name another claim in claims.userId');
    const bytes = Buffer.from(value);
    if (bytes.length > maxEncodedBytes) {
      return this.#invalid(pathText(claims.userId), `at most ${maxEncodedBytes} bytes`, `${bytes.length} bytes`, fix);
    }
    return value === '' ? '' : this.#prefixed(bytes.toString('base64url'), userPrefix, pathText(claims.userId));
  }

  #prefixed(value: string, prefix: string, claim: string): string {
    const whole = prefix + value;
    if (idPattern.test(whole)) return whole;
    return this.#invalid(claim, `${idGrammar}, with the prefix "${prefix}"`, described(value), 'shorten the prefix');
  }

  #value(key: string, value: Value, prefix: string, grammar: RegExp, wanted: string): string {
    if (!('text' in value)) {
      return this.#invalid(
        value.claim,
        value.wanted,
        value.found,
        `change claims.${key}, or the claim at the provider`,
      );
    }
    const whole = prefix + value.text;
    if (grammar.test(value.text) && grammar.test(whole)) return whole;
    const { path = [key] } = this.#issuer.claims[key === 'role' ? 'role' : 'tenantId'] as { path?: ClaimPath };
    return this.#invalid(pathText(path), wanted, described(value.text), `map its values in claims.${key}`);
  }

  #sessionId(): string | undefined {
    const { claims, revocations } = this.#issuer;
    if (revocations === undefined && readPath(this.#payload, claims.sessionId) === 'absent') return undefined;
    return this.#text(claims.sessionId, idPattern, idGrammar, 'name another claim in claims.sessionId');
  }

  #time(name: string): number {
    const value = claimOf(this.#payload, name);
    if (typeof value === 'number' && isUnixSeconds(value)) return value;
    this.#invalid(name, 'whole seconds since 1970', described(value), 'the provider must send a number');
    return Number.NaN;
  }

  #authMethods(): readonly string[] | undefined {
    if (!this.#has('amr')) return undefined;
    const { amr } = this.#payload;
    const isList = Array.isArray(amr) && amr.length <= maxAuthMethods;
    if (isList && amr.every((one) => typeof one === 'string' && isAuthMethod(one))) return amr;
    // Providers have shapes of their own, and a service must not get one that it does not know.
    if (this.#issuer.isStrict) this.#invalid('amr', 'a list of methods', described(amr), 'see RFC 8176');
    return undefined;
  }

  /** Accepts `jkt` and `x5t#S256`. Another member (RFC 7800) could bind the token to something that the gateway does not check. */
  #confirmation(): Readonly<{ jkt: string | undefined; certificate: string | undefined }> {
    const none = { jkt: undefined, certificate: undefined };
    if (!this.#has('cnf')) return none;
    const { cnf } = this.#payload;
    const isMap = typeof cnf === 'object' && cnf !== null && !Array.isArray(cnf);
    const members = isMap ? Object.entries(cnf) : [];
    const fits = members.every(([name, value]) => (name === 'jkt' || name === 'x5t#S256') && isThumbprint(value));
    if (members.length === 0 || !fits) {
      this.#invalid(
        'cnf',
        'jkt (RFC 9449) or x5t#S256 (RFC 8705)',
        described(cnf),
        'bind the token with DPoP or a client certificate',
      );
      return none;
    }
    const of = (name: string) => members.find(([member]) => member === name)?.[1] as string | undefined;
    return { jkt: of('jkt'), certificate: of('x5t#S256') };
  }

  /** Some providers repeat the variable of their issuer in a claim. Two values mean that one of them is a lie. */
  #checkVariable(variable: string | undefined): void {
    const { template, provider } = this.#issuer;
    if (template === undefined) return;
    // Entra's claim is `tid`, whatever the file calls the variable.
    const names = provider === 'entra' ? new Set([template.variable, 'tid']) : [template.variable];
    for (const name of names) {
      if (!this.#has(name) || this.#payload[name] === variable) continue;
      this.#invalid(name, described(variable), described(this.#payload[name]), 'the claim must be the same as in iss');
    }
  }
}

const isThumbprint = (value: unknown): boolean =>
  typeof value === 'string' && value.length === thumbprintLength && isCanonicalBase64url(value);
