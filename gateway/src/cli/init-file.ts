import type { Provider } from '../config/config.ts';
import { presets } from '../config/presets.ts';

export type Answers = Readonly<{
  provider: Provider | undefined;
  issuer: string;
  upstream: string;
  audience: string | undefined;
  /** Whether plain http to other machines is allowed. */
  insecureTransport: boolean;
}>;

/** The first port of each list that neither the issuer nor the service uses on this machine. */
export function portsFor({ issuer, upstream }: Answers): Readonly<{ public: number; admin: number; internal: number }> {
  const taken = new Set([issuer, upstream].map((url) => Number(URL.parse(url)?.port)));
  const free = (...ports: readonly number[]) => ports.find((port) => !taken.has(port)) ?? 0;
  return { public: free(8080, 8000, 8800), admin: free(9090, 9190, 9290), internal: free(8090, 8190, 8290) };
}

/** A gateway.yaml that `check` and `serve` accept as it is. */
export function fileFor(answers: Answers): string {
  const ports = portsFor(answers);
  return `# yaml-language-server: $schema=./gateway.schema.json
# Written by \`countersign init\`. Every key is described in docs/gateway-yaml.md.
version: 1

listen:
  public: "127.0.0.1:${ports.public}" # for clients
  admin: "127.0.0.1:${ports.admin}" # for operators: /healthz, /readyz, /metrics
  internal: "127.0.0.1:${ports.internal}" # for services: the keys that verify the signature
${answers.insecureTransport ? 'insecureTransport: true # the network is trusted: plain http to other machines is allowed\n' : ''}
issuers:
${issuerLines(answers).join('\n')}

identity:
  keys: ./gateway-keys # sign the identity of each request

upstreams:
  api: # the name is the audience of the signature
    targets: [${quoted(answers.upstream)}]

routes:
  - name: api
    path: /**
    methods: [GET, POST, PUT, PATCH, DELETE]
    upstream: api
    auth: required
    # allow: { roles: [admin] }
`;
}

function issuerLines(answers: Answers): readonly string[] {
  const { provider, issuer } = answers;
  const first =
    provider === undefined ? `  - issuer: ${quoted(issuer)} # exactly as in iss` : `  - provider: ${provider}`;
  return [
    first,
    ...(provider === undefined
      ? ['    discovery: true # finds the keys at the issuer']
      : [`    issuer: ${quoted(issuer)} # exactly as in iss`]),
    ...audienceLines(answers),
    ...claimLines(provider),
  ];
}

function audienceLines({ provider, audience = 'api' }: Answers): readonly string[] {
  const value = quoted(audience);
  switch (provider) {
    case 'cognito':
      return [`    clients: [${value}] # the id of your app client`];
    case 'clerk':
      return [`    clients: [${value}] # the origin of your pages, such as https://app.example.com`];
    case 'google':
      return [
        `    audience: ${value} # the id of your OAuth client`,
        '    require: { hd: [example.com] } # your Workspace domain: without it, anyone with an account could log in',
      ];
    case 'supabase':
      return [`    audience: ${quoted(audience === 'api' ? 'authenticated' : audience)}`];
    default:
      return [`    audience: ${value} # what aud must contain`];
  }
}

/** The claims of the issuer. With a preset, they are an example in a comment. */
function claimLines(provider: Provider | undefined): readonly string[] {
  if (provider === undefined) {
    return ['    claims: { userId: sub, role: { constant: user }, tenantId: { constant: default } }'];
  }
  const example = examples[provider];
  const { tenantId } = presets[provider].claims;
  return [
    '    # Every user has the role "user"' +
      (tenantId.kind === 'constant' ? ' and the tenant "default"' : '') +
      ', unless claims are set:',
    `    # claims: { ${example} }`,
  ];
}

const examples: Readonly<Record<Provider, string>> = {
  keycloak: 'role: { from: [realm_access, roles], map: { admin: admin }, otherwise: user }',
  auth0: 'role: { from: permissions, map: { "manage:orders": admin }, otherwise: user }, tenantId: org_id',
  entra: 'role: { from: roles, map: { Orders.Admin: admin }, otherwise: user }',
  cognito: 'role: { from: "cognito:groups", map: { admins: admin }, otherwise: user }',
  okta: 'role: { from: groups, map: { Admins: admin }, otherwise: user }',
  google: 'tenantId: { from: hd, map: { example.com: acme } }',
  clerk: 'role: { from: [o, rol], map: { admin: admin }, otherwise: user }, tenantId: [o, id]',
  supabase: 'role: { from: [app_metadata, role], map: { admin: admin }, otherwise: user }',
  zitadel:
    'role: { from: roles, map: { admin: admin }, otherwise: user }, tenantId: "urn:zitadel:iam:user:resourceowner:id"',
  firebase: 'role: { from: role, map: { admin: admin }, otherwise: user }, tenantId: [firebase, tenant]',
};

const quoted = (text: string): string => JSON.stringify(text);
