import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brandIcon } from '@countersign/service-kit';

type Asset = Readonly<{ path: string; type: string; body: Buffer }>;

/** The address of each asset, with the hash of its content. */
export type AssetUrls = Readonly<{ style: string; icon: string }>;

/** Reads the style sheet and the icon of the account pages. */
export function readAssets(): Readonly<{ assets: readonly Asset[]; urls: AssetUrls }> {
  const style = readFileSync(new URL('./assets/account.css', import.meta.url));
  const assets = {
    style: { path: '/account/account.css', type: 'text/css', body: style },
    icon: { path: '/account/icon.svg', type: 'image/svg+xml', body: brandIcon() },
  };
  const urlOf = ({ path, body }: Asset) =>
    `${path}?v=${createHash('sha256').update(body).digest('base64url').slice(0, 12)}`;
  return { assets: Object.values(assets), urls: { style: urlOf(assets.style), icon: urlOf(assets.icon) } };
}
