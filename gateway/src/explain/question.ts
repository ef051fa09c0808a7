import { tokenCharacters } from '@countersign/http1-client';
import { z } from 'zod';
import type { Issuer, Scalar, TestCaller } from '../config/config.ts';
import { id, partyName, role, scopeName } from '../config/schema/values/scalars.ts';
import { isMap } from '../config/schema/values/shapes.ts';
import { assumedToken, issuerNamed, type Requester } from './callers.ts';
import type { Header } from './dry-run.ts';

/** An empty form field counts as absent. */
const optional = <Type extends z.ZodType>(type: Type) =>
  z.preprocess((value) => (value === '' ? undefined : value), type.optional());

/** @param name How error messages name the value. */
const textUpTo = (length: number, name: string) =>
  z.string({ error: `must be ${name}` }).max(length, `must have at most ${length} characters`);
const required = (length: number, name: string) => textUpTo(length, name).trim().min(1, `must be ${name}`);

type Form = Readonly<{ separator: RegExp; one: string; all: string }>;

const lines = (form: string): Form => ({ separator: /\r?\n/, one: `"${form}"`, all: `lines of the form "${form}"` });
const headerLines = lines('Name: value');
const claimLines = lines('name: value');
const scopes: Form = { separator: / /, one: 'a scope', all: 'scopes separated by spaces' };

/** Several values: one text, as a form sends them, or a list. */
const several = (length: number, form: Form, isOne: (text: string) => boolean) => {
  const one = z.string().refine(isOne, { error: ({ input }) => `must be ${form.one}, not "${input}"` });
  const error = `must be ${form.all}`;
  const all = textUpTo(length, form.all).refine((text) => split(text, form).every(isOne), error);
  return optional(z.union([all, z.array(one)], { error })).describe(
    `${form.all[0]?.toUpperCase()}${form.all.slice(1)}, or a list.`,
  );
};

const split = (given: string | readonly string[] | undefined, { separator }: Form): readonly string[] =>
  (typeof given === 'string' ? given.split(separator) : (given ?? [])).filter((one) => one.trim() !== '');

const headerLine = new RegExp(String.raw`^[${tokenCharacters}]+:[\t -~]*$`);

const question = z.object({
  method: required(40, 'an HTTP method, such as GET'),
  path: required(8192, 'a path, such as /v1/users?page=2').describe('The path with the query, as a client sends it.'),
  headers: several(16_384, headerLines, (line) => headerLine.test(line)),
  token: optional(textUpTo(16_384, 'an access token')).describe('Verified, and neither stored nor logged.'),
  payload: optional(
    textUpTo(16_384, 'the claims of a token, as JSON').refine((text) => payloadIn(text) !== undefined, {
      error: 'must be a JSON object',
    }),
  ).describe("A token's claims, as its issuer writes them, in JSON. An alternative to `token`: assumed, not verified."),
  role: optional(role).describe('The role in an assumed valid token, as an alternative to `token`.'),
  tenant: optional(id),
  user: optional(id),
  client: optional(partyName).describe('Calls for itself or, with `user`, is the client that the user logged in with.'),
  scope: several(4096, scopes, (scope) => scopeName.safeParse(scope).success),
  actor: optional(
    textUpTo(1024, 'an actor').refine(
      (text) => partyName.safeParse(actorIn(text).name).success,
      'must be visible ASCII characters without quote and backslash, at most 255',
    ),
  ).describe("The actor's `sub`. If another issuer assigned it, write the issuer, a space and the `sub`."),
  claims: several(8192, claimLines, (line) => claimIn(line) !== undefined),
  issuer: optional(textUpTo(512, 'an issuer')).describe("The token's issuer, by URL or name. Default: the first."),
  bound: optional(z.union([z.boolean(), z.literal('on')], { error: 'must be true or false' })).describe(
    'Whether the token is bound to a key and comes with a valid proof.',
  ),
  service: optional(textUpTo(64, 'the name of a service')).describe('It calls on the internal listener.'),
});

export const explainQuestion = question
  .superRefine((asked, { addIssue }) => {
    for (const issue of callerIssues(asked)) addIssue(issue);
  })
  .meta({ id: 'Question' });
export type ExplainQuestion = z.output<typeof question>;

const tokenFields = ['role', 'tenant', 'user', 'client', 'scope', 'actor', 'claims', 'issuer', 'bound'] as const;

/**
 * Creates a problem with a field.
 *
 * @param option The same problem, worded for the command line.
 */
const refusal = (field: keyof ExplainQuestion, message: string, option: string) => ({
  code: 'custom' as const,
  path: [field],
  message,
  input: undefined,
  params: { option },
});

function callerIssues(asked: ExplainQuestion) {
  const described = tokenFields.find((field) => asked[field] !== undefined);
  const other = described ?? (['payload', 'service'] as const).find((field) => asked[field] !== undefined);
  if (asked.token !== undefined) {
    if (other === undefined) return [];
    const option = `--token already identifies the caller: omit ${optionOf(other)}`;
    return [refusal(other, 'must be empty: the token already identifies the caller', option)];
  }
  if (asked.payload !== undefined && described !== undefined) {
    const option = `--payload already identifies the caller: omit ${optionOf(described)}`;
    return [refusal(described, 'must be empty: the claims already identify the caller', option)];
  }
  if (asked.role !== undefined || described === undefined) return [];
  if (asked.client === undefined) {
    const message = `must not be empty: a caller with "${described}" needs a role or an OAuth client`;
    return [refusal('role', message, `${optionOf(described)} needs --role, or --client for an OAuth client`)];
  }
  if (asked.user === undefined) return [];
  return [refusal('role', 'must not be empty: a user needs a role', '--user needs --role')];
}

const options: Readonly<Record<string, string>> = {
  method: 'METHOD',
  path: 'PATH',
  headers: '--header',
  claims: '--claim',
};

const optionOf = (field: PropertyKey | undefined): string => options[String(field)] ?? `--${String(field)}`;

export function optionProblem({ issues: [issue] }: z.ZodError): string {
  const option = issue?.code === 'custom' ? issue.params?.option : undefined;
  return String(option ?? `${optionOf(issue?.path[0])} ${issue?.message}`);
}

/** Returns the refusal of an `Authorization` header that the gateway would verify. */
export const unverified = (): z.ZodError =>
  new z.ZodError([
    refusal(
      'headers',
      'must not contain Authorization, because it is not verified here: use token, or role, tenant and user',
      'explain does not verify an Authorization header: use --token FILE, or --role, --tenant and --user',
    ),
  ]);

/**
 * Returns the caller that the fields describe.
 *
 * @throws ZodError if the configuration has no such issuer.
 */
export function requesterOf(asked: ExplainQuestion, issuers: readonly Issuer[], nowMs: number): Requester {
  const { issuer: named, service } = asked;
  const issuer = named === undefined ? issuers[0] : issuerNamed(issuers, named);
  if (named !== undefined && issuer === undefined) {
    const known = issuers.map((one) => one.name ?? one.issuer).join(', ');
    throw new z.ZodError([
      refusal('issuer', 'must be an issuer in the configuration', `--issuer must be one of ${known}`),
    ]);
  }
  const hasToken = issuer !== undefined && (asked.role !== undefined || asked.client !== undefined);
  return { token: hasToken ? assumedToken(tokenOf(asked), issuer, nowMs) : undefined, service };
}

/** Undefined if the text is not a JSON object. */
export function payloadIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function tokenOf(asked: ExplainQuestion): TestCaller {
  const { role: itsRole, user, tenant, client, scope, actor, claims, issuer, bound } = asked;
  const userId = user ?? (client === undefined ? 'example-user' : undefined);
  return {
    issuer,
    userId,
    role: itsRole,
    tenantId: tenant ?? (userId === undefined ? undefined : 'example-tenant'),
    client,
    scope: split(scope, scopes),
    actor: actor === undefined ? undefined : actorIn(actor),
    claims: claimsIn(split(claims, claimLines)),
    bound: bound !== undefined && bound !== false,
  };
}

function actorIn(text: string): NonNullable<TestCaller['actor']> {
  const [name = '', issuer] = text.split(' ').toReversed();
  return { issuer, name };
}

/** Reads `name: value`. The value is a JSON scalar or, if it is not JSON, plain text. Undefined if malformed. */
function claimIn(line: string): Readonly<{ name: string; value: Scalar }> | undefined {
  // A claim name may be a URL.
  const [, name, value] = /^\s*([^\s"\\]{1,128}):\s+(\S.*)$/.exec(line) ?? [];
  return name === undefined || value === undefined ? undefined : { name, value: scalarOf(value.trimEnd()) };
}

function scalarOf(text: string): Scalar {
  if (!/^(?:true|false|-?\d[\d.eE+-]*|".*")$/.test(text)) return text;
  try {
    return JSON.parse(text) as Scalar;
  } catch {
    return text;
  }
}

function claimsIn(given: readonly string[]): Readonly<Record<string, readonly Scalar[]>> {
  const claims: Record<string, readonly Scalar[]> = Object.create(null);
  for (const { name, value } of given.flatMap((line) => claimIn(line) ?? []))
    claims[name] = [...(claims[name] ?? []), value];
  return claims;
}

export const headersOf = ({ headers }: ExplainQuestion): readonly Header[] =>
  split(headers, headerLines).map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
