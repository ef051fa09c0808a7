import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { AppError, createRouter } from '@countersign/process-kit';
import type { RequestHandler, Router } from 'express';

/**
 * The content security policy. Images can be `blob:` URLs, for unsent photos and for attachments, whose requests need
 * the access token in a header.
 */
const contentSecurityPolicy = [
  "default-src 'self'",
  "img-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

export const pageHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'geolocation=(self), camera=(), microphone=()',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

type FilesOptions = Readonly<{
  /** The output of `npm run build`. */
  directory: string;
  /** The URL of the operators' console. If undefined, the pages do not link to it. */
  consoleUrl: string | undefined;
}>;

/** Serves the built files under /app/. Any other path below /app/ returns the page, whose router handles it. */
export function fileRoutes({ directory, consoleUrl }: FilesOptions): Router {
  const router = createRouter();
  router.use('/app', (_req, res, next) => {
    res.set(pageHeaders);
    next();
  });
  router.get('/', (_req, res) => res.redirect('/app/'));
  router.get('/app', (_req, res) => res.redirect(308, '/app/'));
  router.get('/app/config.json', (_req, res) => {
    res.set('cache-control', 'no-cache').json(consoleUrl === undefined ? {} : { console: consoleUrl });
  });
  router.get('/app/assets/:name', compressed(join(directory, 'assets')));
  router.get('/app/icon.svg', (_req, res) => {
    res.sendFile(join(directory, 'icon.svg'), { maxAge: '1d' });
  });
  router.get('/app/{*path}', (_req, res, next) => {
    res.set('cache-control', 'no-cache').sendFile(join(directory, 'index.html'), { cacheControl: false }, (error) => {
      if (error !== undefined && !res.headersSent) next(new AppError('unavailable', { cause: error }));
    });
  });
  return router;
}

/** Serves scripts and styles. Their names contain a content hash, so they are compressed once and cached. */
function compressed(directory: string): RequestHandler<{ name: string }> {
  const kept = new Map<string, Buffer>();
  const compress = async (name: string) => promisify(gzip)(await readFile(join(directory, name)), { level: 9 });
  return async (req, res) => {
    const { name } = req.params;
    const body =
      kept.get(name) ?? (/^[\w-]+\.(?:js|css)$/.test(name) ? await compress(name).catch(() => {}) : undefined);
    if (body === undefined) throw new AppError('not_found');
    kept.set(name, body);
    res.set({ 'cache-control': 'public, max-age=31536000, immutable', vary: 'accept-encoding' }).type(extname(name));
    if (req.acceptsEncodings('gzip') === false) res.send(await promisify(gunzip)(body));
    else res.set('content-encoding', 'gzip').send(body);
  };
}
