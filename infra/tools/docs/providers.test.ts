import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '@countersign/process-kit';
import { expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { providers } from '../../../gateway/src/config/config.ts';
import { parseConfig } from '../../../gateway/src/config/load.ts';
import { editorSchema } from '../../../gateway/src/config/schema/json-schema.ts';
import { shapes } from '../../../gateway/test/providers/shapes.ts';

const directory = resolve(import.meta.dirname, '../../../docs/providers');
const pages = readdirSync(directory);
const textOf = (page: string) => readFileSync(resolve(directory, page), 'utf8');

const blocks = [...pages, '../opaque-tokens.md'].flatMap((page) =>
  [...textOf(page).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = ''], index) => [
    `${page}, block ${index + 1}`,
    yaml,
  ]),
);

const rest = `version: 1
identity: { keys: ./gateway-keys }
upstreams: { orders: { targets: ["http://127.0.0.1:3000"] } }
routes: [{ name: orders, path: /orders, methods: [GET], upstream: orders, auth: required }]
`;

const env = {
  INTROSPECTION_SECRET: 'a-secret-of-the-provider',
  REVOKE_SECRET: 'the-bearer-secret-of-revoke-calls-0123456789',
  CLERK_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  WORKOS_WEBHOOK_SECRET: 'the-secret-of-a-webhook-of-workos',
  LOGTO_SIGNING_KEY: 'the-signing-key-of-a-hook-of-logto',
  OKTA_HOOK_SECRET: 'the-secret-of-an-event-hook-of-okta',
  ZITADEL_SIGNING_KEY: 'the-signing-key-of-a-target-of-zitadel',
  SSF_SECRET: 'the-bearer-secret-of-a-stream-0123456789-abcdef',
};

/** Problems, or warnings if there are none. */
function problemsIn(yaml: string): readonly string[] {
  try {
    let warnings: readonly string[] = [];
    parseConfig(yaml + rest, { file: 'gateway.yaml', env, onWarnings: (lines) => (warnings = lines) });
    return warnings;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test.each(blocks)('%s passes check without a warning', (_place, yaml) => {
  expect(yaml).toMatch(/^issuers:\n/);
  expect(problemsIn(yaml)).toEqual([]);
});

const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(editorSchema());
const recorded = shapes.map(({ name, yaml }) => [`the token of ${name}`, `issuers:\n  - jwks: ./keys.json${yaml}\n`]);

test.each([...blocks, ...recorded])('%s has no problem in an editor', (_place, yaml) => {
  validate(parse(`${yaml}${rest}`));
  expect(validate.errors).toBeNull();
});

test.each(providers)('%s has a page with its YAML, the headers for the service, and the limits', (provider) => {
  const page = textOf(`${provider}.md`);
  expect(page).toContain(`provider: ${provider}`);
  // Not every provider marks the tokens of clients.
  expect(
    page
      .match(/^## .*$/gm)
      ?.slice(1)
      .filter((heading) => heading !== '## OAuth clients' && heading !== '## Logout'),
  ).toEqual(['## gateway.yaml', '## Headers for the service', '## Limits']);
  expect(textOf('README.md')).toContain(`(${provider}.md)`);
});
