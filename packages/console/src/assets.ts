import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brandIcon } from '@countersign/service-kit';

export type Asset = Readonly<{ path: string; type: string; body: Buffer }>;
/** The address of each asset, with the hash of its content. */
export type AssetUrls = Readonly<{ style: string; script: string; icon: string }>;

const own = (name: string): Buffer => readFileSync(new URL(`./assets/${name}`, import.meta.url));

const files = {
  style: { name: 'console.css', type: 'text/css', read: own },
  script: { name: 'console.js', type: 'text/javascript', read: own },
  icon: { name: 'icon.svg', type: 'image/svg+xml', read: brandIcon },
} as const;

/** Reads the style sheet, the script and the icon. */
export function readAssets(): Readonly<{ assets: readonly Asset[]; urls: AssetUrls }> {
  const read = Object.entries(files).map(([key, { name, type, read: readFile }]) => {
    const body = readFile(name);
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12);
    const path = `/console/assets/${name}`;
    return { key, url: `${path}?v=${hash}`, asset: { path, type, body } };
  });
  return {
    assets: read.map(({ asset }) => asset),
    urls: Object.fromEntries(read.map(({ key, url }) => [key, url])) as AssetUrls,
  };
}
