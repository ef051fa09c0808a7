import { getFips } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ConfigError, createFile, docsPage } from '@countersign/process-kit';
import { providers } from '../config/config.ts';
import { parseConfig } from '../config/load.ts';
import { endsWithSlash, presetOf } from '../config/presets.ts';
import { editorSchema } from '../config/schema/json-schema.ts';
import { createKey, hasGatewayKeys } from '../keys/key-files.ts';
import { type Command, type Terminal, text, UsageError, type Values } from './command.ts';

export const init: Command = {
  name: 'init',
  usage: '--issuer URL --upstream URL',
  summary: 'write a minimal gateway.yaml for your issuer and service, its schema, and the signing keys',
  options: [
    ['--provider NAME', `the identity provider: ${providers.join(', ')}`],
    ['--issuer URL', 'the exact `iss` claim in its tokens'],
    ['--upstream URL', 'the origin of your service, such as http://127.0.0.1:3000'],
    [
      '--audience A',
      'the audience (`aud`) that tokens must have; for cognito and clerk, the OAuth client; default: api',
    ],
    ['--insecure-transport', 'trust the network: allow plain http to other machines'],
    [
      '--in-cluster',
      'write the file for a container or Kubernetes: listen on all addresses, trust the network, and read keys from /etc/gateway-keys',
    ],
    ['--dir DIRECTORY', 'where to write; default: this directory'],
  ],
  run(terminal, values, positionals) {
    if (positionals.length > 0) throw new UsageError('init takes only options, no arguments');
    return write(terminal, values);
  },
};

/** Node then has no X25519. */
const isFips = getFips() === 1;

function write(terminal: Terminal, values: Values): number {
  const file = resolve(text(values.dir) ?? '.', 'gateway.yaml');
  const directory = dirname(file);
  const answers = answersIn(values);
  const yaml = fileFor(answers);
  refuseProblems(yaml, file, terminal);
  mkdirSync(directory, { recursive: true });
  if (existsSync(file) || !createFile(file, yaml, 0o644)) {
    terminal.err(`${file} already exists and was not changed`);
    return 1;
  }
  createFile(join(directory, 'gateway.schema.json'), `${JSON.stringify(editorSchema(), null, 2)}\n`, 0o644);
  const keys = join(directory, 'gateway-keys');
  if (!hasGatewayKeys(keys)) {
    const nowSec = Math.floor(terminal.nowMs() / 1000);
    createKey('ed25519', keys, nowSec);
    if (!isFips) createKey('x25519', keys, nowSec);
  }
  createFile(join(keys, '.gitignore'), '*\n', 0o600);
  for (const line of answers.isInCluster ? stepsInCluster(directory) : nextSteps(directory, portsFor(answers).public))
    terminal.out(line);
  return 0;
}

const nextSteps = (directory: string, port: number): readonly string[] => [
  `${directory}:`,
  '  gateway.yaml         your configuration',
  '  gateway.schema.json  for editors',
  '  gateway-keys/        the keys that sign identity headers: keep them secret; git ignores them',
  '',
  'Next:',
  '  countersign check',
  '  countersign serve',
  `  curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:${port}/`,
  '',
  'If a token is refused, `countersign token FILE` shows why.',
];

const stepsInCluster = (directory: string): readonly string[] => [
  `${directory}: gateway.yaml, its schema, and gateway-keys/, the keys that sign identity headers`,
  '',
  'In a container:',
  `  ${docsPage('operations/containers.md#the-gateway')}`,
  '',
  'In Kubernetes, gateway-keys/ becomes a Secret:',
  '  kubectl create namespace countersign',
  '  kubectl -n countersign create secret generic gateway-keys --from-file=gateway-keys',
  '  kubectl -n countersign apply -k .',
  '',
  'The last command needs the manifests that read gateway.yaml, in the same directory:',
  `  ${docsPage('operations/kubernetes.md#the-gateway-for-your-services')}`,
];

function answersIn(values: Values) {
  const provider = providerOf(values);
  const isInCluster = values['in-cluster'] === true;
  return {
    provider,
    issuer: issuerOf(required(values, 'issuer'), provider),
    upstream: originOf(required(values, 'upstream')),
    audience: text(values.audience),
    isInCluster,
    insecureTransport: values['insecure-transport'] === true || isInCluster,
  };
}

function required(values: Values, name: string): string {
  const value = text(values[name]);
  if (value === undefined || value === '') throw new UsageError(`--${name} is required`);
  return value;
}

/** Auth0's dashboard shows the domain without the trailing slash that `iss` has. */
const issuerOf = (issuer: string, provider: string | undefined): string =>
  endsWithSlash({ provider, issuer }) === true && !issuer.endsWith('/') ? `${issuer}/` : issuer;

function providerOf(values: Values): string | undefined {
  const name = text(values.provider);
  if (name === undefined) return undefined;
  const provider = providers.find((known) => known === name.toLowerCase());
  if (provider === undefined) throw new UsageError(`unknown provider "${name}"; known: ${providers.join(', ')}`);
  return provider;
}

function originOf(given: string): string {
  const url = URL.parse(given);
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '') {
    throw new UsageError('--upstream must be an origin, such as http://127.0.0.1:3000, without a path');
  }
  return url.origin;
}

/** @throws ConfigError with the problems by option, because there is no file yet. */
function refuseProblems(yaml: string, file: string, { env }: Terminal): void {
  try {
    parseConfig(yaml, { file, env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([
      ...error.problems.map((problem) => byOption(problem.slice(file.length))),
      'nothing was written',
    ]);
  }
}

const optionOf = [
  ['upstreams.api.targets[0]', '--upstream'],
  ['issuers[0].issuer', '--issuer'],
  ['issuers[0].audience', '--audience'],
  ['issuers[0].clients', '--audience'],
] as const;

/** @param problem `:line:column: path: what is wrong`. */
function byOption(problem: string): string {
  const [, path = '', message = ''] = /^:\d+:\d+: (?:(\S+): )?(.*)$/s.exec(problem) ?? [];
  const option = optionOf.find(([key]) => path.startsWith(key))?.[1] ?? path;
  const advice = message.replace('set insecureTransport: true', 'add --insecure-transport');
  return option === '' ? advice : `${option}: ${advice}`;
}

type Answers = Readonly<ReturnType<typeof answersIn>>;

/** From each list, picks the first port that neither the issuer nor the service uses on this machine. */
function portsFor(answers: Answers): Readonly<{ public: number; admin: number; internal: number }> {
  // In a cluster, the issuer and the service run on other machines, and manifests name the ports.
  const { issuer, upstream } = answers.isInCluster ? { issuer: '', upstream: '' } : answers;
  const taken = new Set([issuer, upstream].map((url) => Number(URL.parse(url)?.port)));
  const free = (...ports: readonly number[]) => ports.find((port) => !taken.has(port)) ?? 0;
  return { public: free(8080, 8000, 8800), admin: free(9090, 9190, 9290), internal: free(8090, 8190, 8290) };
}

/** Writes a gateway.yaml that `check` and `serve` accept without changes. */
function fileFor(answers: Answers): string {
  const values: Readonly<Record<string, string | number>> = {
    ...portsFor(answers),
    reference: docsPage('gateway-yaml.md'),
    host: answers.isInCluster ? '0.0.0.0' : '127.0.0.1',
    keys: answers.isInCluster ? '/etc/gateway-keys' : './gateway-keys',
    keyFiles: answers.isInCluster ? '\n  keyFiles: group # of a Secret: root owns its files' : '',
    insecureTransport: answers.insecureTransport
      ? 'insecureTransport: true # the network is trusted: plain http to other machines is allowed\n'
      : '',
    issuer: issuerLines(answers)
      .map((line, at) => `  ${at === 0 ? '-' : ' '} ${line}`)
      .join('\n'),
    upstream: quoted(answers.upstream),
    algorithm: isFips ? 'ed25519' : 'agreed',
  };
  const template = readFileSync(new URL('./init.template', import.meta.url), 'utf8');
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => String(values[name]));
}

function issuerLines({ provider, issuer, audience }: Answers): readonly string[] {
  const { init, claims } = presetOf(provider);
  const iss = `issuer: ${quoted(issuer)} # exactly as in iss`;
  const tenant = claims.tenantId.kind === 'constant' ? ' and the tenant "default"' : '';
  return [
    ...(provider === undefined
      ? [iss, "discovery: true # finds the key URL in the issuer's metadata"]
      : [`provider: ${provider}`, iss]),
    ...init.audience.map((line) => line.replace('AUDIENCE', () => quoted(audience ?? init.defaultAudience))),
    // With a preset, a comment shows the claims as an example.
    ...(provider === undefined
      ? [`claims: { ${init.claims} }`]
      : [`# Every user has the role "user"${tenant}, unless claims are set:`, `# claims: { ${init.claims} }`]),
  ];
}

const quoted = (text: string): string => JSON.stringify(text);
