import { ConfigError, createLogger, printable, StartupError } from '@countersign/process-kit';
import type { GatewayConfig, Issuer, Route, Upstream, ValueSource } from '../config/config.ts';
import { loadConfig, loadWithoutFiles, type Outline } from '../config/load.ts';
import { servedMethods } from '../config/path-pattern.ts';
import { limitText, tokenText } from '../explain/route-text.ts';
import { readAgreementKeys } from '../keys/key-files.ts';
import { missingAgreementKey } from '../keys/signing-keys.ts';
import { compilePolicy } from '../routing/policy.ts';
import { conditionsText, pathText } from '../tokens/claim-mapping/claim-path.ts';
import {
  type Command,
  configFile,
  configOption,
  readServeSettings,
  type Terminal,
  text,
  UsageError,
  type Values,
  withoutKeysOption,
  workersOf,
  workersOption,
} from './command.ts';
import { entryOf, formatOf, printReport, reportOptions } from './report.ts';
import { printSample } from './sample.ts';

const fetchTimeoutMs = 5_000;

export const check: Command = {
  name: 'check',
  usage: '[FILE|-]',
  summary: 'show every problem that would prevent the gateway from starting, and rules that never match',
  options: [
    configOption,
    workersOption,
    withoutKeysOption,
    ['--services', 'ask each service for its key set, and name those that could use `algorithm: agreed`'],
    ['--routes', 'print each route with its rules, including the keys it inherits from groups'],
    ['--sample FILE', 'show what a recorded webhook would end: an HTTP request with its headers and body'],
    ...reportOptions,
  ],
  run: checkGateway,
};

/** Builds the gateway that `serve` would start, then stops it. */
export async function checkGateway(
  terminal: Terminal,
  values: Values,
  positionals: readonly string[],
): Promise<number> {
  const file = configFile(values, positionals);
  const format = formatOf(values);
  if (values['without-keys'] === true && values.services === true)
    throw new UsageError('--without-keys asks no service: omit --services');
  const { config, problems, warnings, outline } = await examine(file, terminal, values);
  if (format !== 'text') {
    const report = { problems: problems.map(entryOf), warnings: warnings.map(entryOf) };
    return printReport(terminal, 'check', format, report);
  }
  for (const warning of warnings) terminal.err(warning);
  if (config === undefined || problems.length > 0)
    throw new ConfigError([...problems, counted(problems.length, 'problem')]);
  const counts = [
    counted(config.routes.length, 'route'),
    counted(config.upstreams.size, 'upstream'),
    counted(config.issuers.length, 'issuer'),
    counted(config.tests.length, 'test'),
  ];
  terminal.out(`${terminal.paint('good', 'good')} ${file}: ${counts.join(', ')}`);
  const tokens = [...config.upstreams.values()].flatMap((upstream) => {
    const line = tokenText(upstream);
    return line === undefined ? [] : [`  ${upstream.name}: ${line}`];
  });
  const unread = outline === undefined ? [] : unreadLines(outline);
  for (const line of [...unread, ...presetLines(config.issuers), ...eventLines(config.issuers), ...tokens])
    terminal.out(terminal.paint('quiet', printable(line)));
  const sample = text(values.sample);
  if (sample !== undefined && !printSample(sample, config, terminal)) return 1;
  if (values.routes === true) for (const line of routeLines(config.routes)) terminal.out(printable(line));
  return 0;
}

async function examine(file: string, terminal: Terminal, values: Values) {
  const problems: string[] = [];
  const warnings: string[] = [];
  const collect = async <T>(build: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await build();
    } catch (error) {
      if (error instanceof ConfigError) problems.push(...error.problems);
      else if (error instanceof StartupError) problems.push(error.message);
      else throw error;
      return undefined;
    }
  };
  const onWarnings = (lines: readonly string[]) => void warnings.push(...lines);
  const context = { workers: workersOf(values), onWarnings };
  if (values['without-keys'] === true) {
    const isProduction = terminal.env.NODE_ENV === 'production';
    const outline = await collect(() => loadWithoutFiles(file, { ...context, isProduction }));
    return { config: outline?.config, problems, warnings, outline };
  }
  await collect(() => readServeSettings(terminal.env));
  const config = await collect(() => loadConfig(file, terminal.env, context));
  if (config !== undefined) {
    await collect(() => buildAndStop(config, terminal));
    const differences = await Promise.all([...config.upstreams.values()].map(differenceOf));
    problems.push(...differences.flatMap((difference) => difference ?? []));
  }
  if (config !== undefined && problems.length === 0) {
    const { keysDir, keyFiles } = config.identity;
    const missing = missingAgreementKey(config, readAgreementKeys(keysDir, keyFiles));
    if (missing !== undefined) warnings.push(`warning: ${missing}`);
    if (values.services === true)
      warnings.push(...(await Promise.all([...config.upstreams.values()].map(notesOf))).flat());
  }
  return { config, problems, warnings, outline: undefined };
}

/** Lists what `--without-keys` leaves out. */
export function unreadLines({ variables, files }: Outline): readonly string[] {
  const names = [...variables.map((name) => `\${${name}}`), ...files];
  return names.length === 0 ? [] : [`  not read: ${printable(names.join(', '))}`];
}

async function buildAndStop(config: GatewayConfig, { env, nowMs }: Terminal): Promise<void> {
  // Imported here, so that the problems of a file are shown faster.
  const { buildGateway } = await import('../start-gateway.ts');
  await buildGateway(config, { env, nowMs, logger: createLogger('gateway', 'silent') }).stop();
}

/**
 * Returns a warning if the targets of an upstream with `algorithm: agreed` publish different keys. Sends requests only
 * to such targets, and ignores those that do not respond.
 */
async function differenceOf(upstream: Upstream): Promise<string | undefined> {
  if (upstream.identity.algorithm !== 'agreed' || upstream.targets.length < 2) return undefined;
  const [first, ...others] = (await publishedBy(upstream)).filter(({ kids }) => kids.length > 0);
  if (first === undefined || first.kids.some((kid) => others.every(({ kids }) => kids.includes(kid)))) return undefined;
  const list = [first, ...others].map(({ origin, kids }) => `${origin} ${kids.join(' ')}`).join(', ');
  return `upstreams.${upstream.name}: its targets publish different key agreement keys (${list}): give them all the same key`;
}

/** Says that a service publishes a key which the gateway does not use. `serve` never asks such a service. */
async function notesOf(upstream: Upstream): Promise<readonly string[]> {
  if (upstream.identity.algorithm !== 'ed25519' || !upstream.identity.headers) return [];
  const published = await publishedBy(upstream);
  return published.every(({ kids }) => kids.length > 0)
    ? [`note: upstreams.${upstream.name}: its service publishes a key for \`identity: { algorithm: agreed }\``]
    : [];
}

/** Fetches the keys for agreement that each target publishes. None from a target that does not respond. */
async function publishedBy(upstream: Upstream) {
  const { OpenUpstream } = await import('../upstreams/pool/open-upstream.ts');
  const asked = { ...upstream, identity: { ...upstream.identity, algorithm: 'agreed' as const } };
  const opened = new OpenUpstream(asked, { logger: createLogger('gateway', 'silent') });
  try {
    return await Promise.all(
      (opened.agreement?.targets ?? []).map(async (target) => {
        const keys = await target.fetchOnce(fetchTimeoutMs);
        return { origin: target.origin, kids: keys?.map(({ kid }) => kid) ?? [] };
      }),
    );
  } finally {
    await opened.stop();
  }
}

export const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

function eventLines(issuers: readonly Issuer[]): readonly string[] {
  const paths = issuers.flatMap(({ name, events }) => [
    ...(events?.backchannelLogout ? [`/.well-known/countersign/backchannel-logout/${name}`] : []),
    ...(events?.sharedSignals ? [`/.well-known/countersign/events/${name}`] : []),
    ...(events?.webhook ? [`/.well-known/countersign/webhook/${name}`] : []),
    ...(events?.revoke ? [`/.well-known/countersign/revoke/${name}`] : []),
  ]);
  return [...new Set(paths)].map((path) => `  receives events at ${path}`);
}

/**
 * Lists everything that an issuer's preset sets, one paragraph per issuer with a `provider`. Issuers of one template
 * share one.
 */
function presetLines(issuers: readonly Issuer[]): readonly string[] {
  const seen = new Set<string>();
  return issuers.flatMap((issuer) => {
    const text = linesOf(issuer);
    const key = text.slice(1).join('\n');
    // Issuers of one template differ only in `issuer`, so show them once.
    if (issuer.provider === undefined || (issuer.template !== undefined && seen.has(key))) return [];
    seen.add(key);
    return text;
  });
}

function linesOf(issuer: Issuer): readonly string[] {
  const { claims, machines } = issuer;
  const clientText = conditionsText(machines.when) || 'the subject is the OAuth client';
  const keys = issuer.discovery ? "from the issuer's metadata" : issuer.shownJwks;
  return [
    `  ${issuer.issuer} (${issuer.provider})`,
    `    types      ${issuer.types.join(', ')}; ${conditionsText(issuer.typeTest) || 'no further test'}`,
    `    keys       ${keys}; ${issuer.algorithms.join(', ')}`,
    ...(issuer.introspection === undefined ? [] : [`    opaque     introspected at ${issuer.introspection.shownUrl}`]),
    `    user       ${pathText(claims.userId)}`,
    `    role       ${sourceText(claims.role)}`,
    `    tenant     ${sourceText(claims.tenantId)}`,
    `    client     ${claims.client.join(' or ')}; an OAuth client: ${clientText}, ${machines.isAccepted ? 'accepted' : 'refused'}`,
  ];
}

function sourceText(source: ValueSource): string {
  switch (source.kind) {
    case 'constant':
      return `always ${source.value}`;
    case 'claim':
      return pathText(source.path);
    case 'mapped':
      return `${pathText(source.path)}, mapped; otherwise ${source.otherwise ?? 'refused'}`;
    case 'fromIssuer':
      return 'from the issuer';
  }
}

/**
 * Prints each route in two lines: what it serves, and its rules. Groups are resolved, and routes are sorted by path.
 */
export function routeLines(routes: readonly Route[]): readonly string[] {
  const keyOf = ({ path, methods }: Route) => `${path} ${methods}`;
  return routes
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .flatMap((route) => [
      `${servedMethods(route.methods).join(' ')} ${route.path}  ${route.name}`,
      `    ${[...placeOf(route), ...compilePolicy(route).map(({ text }) => text), ...settingsOf(route)].join('; ')}`,
    ]);
}

function placeOf({ upstream, rewrite }: Route): readonly string[] {
  return [`to ${upstream.name}`, ...(rewrite === undefined ? [] : [`${rewrite.from} becomes ${rewrite.to}`])];
}

function settingsOf({ limits, body, forward: { cookies, authorization, dpop }, websocket }: Route): readonly string[] {
  return [
    ...limits.map(limitText),
    body.mode === 'none' ? 'no body' : `${body.mode} of ${body.maxBytes} bytes`,
    ...[...cookies].map((cookie) => `forwards ${cookie}`),
    ...(authorization ? ['forwards authorization'] : []),
    ...(dpop ? ['forwards dpop'] : []),
    ...(websocket ? ['websocket'] : []),
  ];
}
