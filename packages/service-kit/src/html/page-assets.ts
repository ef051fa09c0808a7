import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRouter } from '@countersign/process-kit';
import type { Router } from 'express';

/**
 * Serves the static files of pages. All pages share one icon, and each style sheet begins with the common styles.
 *
 * @param under The path of the files, such as `/console/assets`.
 * @param files The other files by name.
 * @returns `urls` contain a content hash, so that browsers can cache the files for a year.
 */
export function pageAssets<Name extends string>(
  under: string,
  files: Readonly<Record<Name, URL>>,
): Readonly<{ router: Router; urls: Readonly<Record<Name | 'icon', string>> }> {
  const router = createRouter();
  const look = readFileSync(new URL('./look.css', import.meta.url));
  const urls = Object.entries<URL>({ ...files, icon: new URL('./icon.svg', import.meta.url) }).map(([name, file]) => {
    const type = extname(file.pathname);
    const own = readFileSync(fileURLToPath(file));
    const body = type === '.css' ? Buffer.concat([look, own]) : own;
    const path = `${under}/${basename(file.pathname)}`;
    router.get(path, (_req, res) => {
      res.set({ 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff' });
      res.type(type).send(body);
    });
    return [name, `${path}?v=${createHash('sha256').update(body).digest('base64url').slice(0, 12)}`];
  });
  return { router, urls: Object.fromEntries(urls) };
}
