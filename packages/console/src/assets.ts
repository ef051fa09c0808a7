import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export type Asset = Readonly<{ path: string; type: string; body: Buffer }>;
/** The address of each asset, with the hash of its content. */
export type AssetUrls = Readonly<{ style: string; script: string; icon: string }>;

const files = {
  style: { name: 'console.css', type: 'text/css' },
  script: { name: 'console.js', type: 'text/javascript' },
  icon: { name: 'icon.svg', type: 'image/svg+xml' },
} as const;

/** Reads the style sheet, the script and the icon, which are files of this package. */
export function readAssets(): Readonly<{ assets: readonly Asset[]; urls: AssetUrls }> {
  const read = Object.entries(files).map(([key, { name, type }]) => {
    const body = readFileSync(new URL(`./assets/${name}`, import.meta.url));
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12);
    const path = `/console/assets/${name}`;
    return { key, url: `${path}?v=${hash}`, asset: { path, type, body } };
  });
  return {
    assets: read.map(({ asset }) => asset),
    urls: Object.fromEntries(read.map(({ key, url }) => [key, url])) as AssetUrls,
  };
}
