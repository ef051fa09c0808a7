import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { allowAnonymous } from '@countersign/identity/express';
import { createRouter } from '@countersign/process-kit';
import type { RequestHandler, Router } from 'express';
import { withCodeSamples } from './code-samples.ts';
import { type Api, describeApi } from './openapi.ts';

const asset = (name: string) => readFileSync(new URL(`../../assets/${name}`, import.meta.url));

/** The sandbox gives the page its own origin, so its third-party script can reach neither the cookies nor the API. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  'sandbox allow-scripts',
].join('; ');

type File = Readonly<{ path: string; type: string; body: Buffer; headers?: Readonly<Record<string, string>> }>;

/**
 * Serves an OpenAPI document at `/openapi.json`, and at `/docs` a page that shows it. The gateway decides who reads them.
 */
export function apiPageRoutes(document: string): Router {
  const script = Buffer.concat([Buffer.from(`const description = ${withCodeSamples(document)};\n`), asset('page.js')]);
  const javascript = 'text/javascript; charset=utf-8';
  const files: readonly File[] = [
    { path: '/openapi.json', type: 'application/json', body: Buffer.from(document) },
    {
      path: '/docs',
      type: 'text/html; charset=utf-8',
      body: asset('api-page.html'),
      headers: { 'content-security-policy': pagePolicy, 'referrer-policy': 'no-referrer' },
    },
    { path: '/docs/storage.js', type: javascript, body: asset('storage.js') },
    { path: '/docs/page.js', type: javascript, body: script },
    {
      path: '/docs/scalar.js',
      type: javascript,
      body: asset('scalar-1.72.1.js.gz'),
      // Always compressed, because every browser that can run it accepts gzip.
      headers: { 'content-encoding': 'gzip' },
    },
  ];
  const router = createRouter();
  for (const file of files) addFile(router, file, allowAnonymous());
  return router;
}

/** Serves a service's OpenAPI description, which is public because the repository also contains it. */
export function descriptionRoutes(api: Api): Router {
  const router = createRouter();
  const body = Buffer.from(JSON.stringify(describeApi(api)));
  addFile(router, { path: '/.well-known/openapi.json', type: 'application/json', body });
  return router;
}

function addFile(router: Router, { path, type, body, headers }: File, ...guards: readonly RequestHandler[]): void {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  router.get(path, ...guards, (_req, res) => {
    const shared = { 'cache-control': 'public, max-age=300', 'x-content-type-options': 'nosniff', etag };
    res.set({ ...shared, ...headers, 'content-type': type }).send(body);
  });
}
