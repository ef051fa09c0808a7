// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { editorSchema } from './json-schema.ts';

const sample = readFileSync(new URL('../../../../infra/gateway.yaml', import.meta.url), 'utf8');
// Strict: unknown keywords are errors.
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(editorSchema());

function takes(from: string, to: string): boolean {
  expect(sample).toContain(from);
  return validate(parse(sample.replace(from, to)));
}

describe('the editor schema, checked with an independent validator', () => {
  test('accepts the sample file', () => {
    expect(validate(parse(sample))).toBe(true);
  });

  test.each([
    ['lifetime: 30s', 'lifetime: "${A:-30s}"'],
    ['maxBytes: 16KiB', 'maxBytes: "${A:-16KiB}"'],
    ['upstream: auth-service', 'upstream: "${A:-auth-service}"'],
    ['auth: public', 'auth: "${A:-public}"'],
    ['[ES256]', '["${A:-ES256}"]'],
    ['tenant: ":id"', 'tenant: "${A:-:id}"'],
    ['path: /mcp\n', 'path: "/${A:-v1}/**"\n'],
    ['path: /mcp\n', 'path: /v1/:id/\n'],
    ['path: /mcp\n', 'path: /\n'],
    ['trustedProxies: []', 'trustedProxies: ["fd00::/8", 10.0.0.1, "${A}"]'],
    ['maxBytes: 16KiB', 'maxBytes: 16384'],
    ['identity: { algorithm: agreed }', 'identity: { algorithm: hmac-sha256, secret: "${A}" }'],
  ])('accepts the sample with %j replaced by %j', (from, to) => {
    expect(takes(from, to)).toBe(true);
  });

  test.each([
    ['{ path: "", methods: [GET] }', true],
    ['{ path: "", methods: [GET], routes: [{ path: /:id }] }', true],
    ['{ methods: [GET] }', false],
    ['{ path: "", method: [GET] }', false],
    ['', false],
  ])('accepts a group with the routes [%s]: %j', (routes, isTaken) => {
    const group = `routes:\n  - { path: /v1, auth: public, upstream: auth-service, routes: [${routes}] }\n`;
    expect(takes('routes:\n', group)).toBe(isTaken);
  });

  test.each([
    ['trustedProxies', 'trustdProxies'],
    ['    upstream: mcp-server\n    auth: required\n', '    upstream: mcp-server\n'],
    ['auth: public', 'auth: none'],
    ['auth: public', 'auth:'],
    ['version: 1', 'version: 2'],
    ['lifetime: 30s', 'lifetime: 30 s'],
    ['maxBytes: 16KiB', 'maxBytes: 16KB'],
    ['methods: [POST]', 'methods: [POST, POST]'],
    ['methods: [POST]', 'methods: POST'],
    ['path: /mcp\n', 'path: mcp\n'],
    ['path: /mcp\n', 'path: /v1/*\n'],
    ['path: /mcp\n', 'path: /v1/**/login\n'],
    ['"http://127.0.0.1:${USERS_PORT:-8082}"', '127.0.0.1:8082'],
    ['"http://127.0.0.1:${USERS_PORT:-8082}"', 'http://127.0.0.1:8082/api'],
    ['trustedProxies: []', 'trustedProxies: [everybody]'],
    ['"127.0.0.1:${GATEWAY_PORT:-8080}"', '"8080"'],
    ['headers: { strip: [] }', 'cors: { origins: ["*"] }'],
    ['requests: 60', 'requests: "60"'],
  ])('refuses the sample with %j replaced by %j', (from, to) => {
    expect(takes(from, to)).toBe(false);
  });
});
