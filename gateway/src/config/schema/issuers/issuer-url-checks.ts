import { resolve } from 'node:path';
import { whyNoIssuerKeys } from '../../issuer-key-file.ts';
import type { IsMalformed, Refuse } from '../cross-checks.ts';
import type { UpstreamPieces } from '../upstreams.ts';
import { isFetched, isForbiddenTarget, isPlainHttp, plainHttp } from '../values/urls.ts';
import { algorithmsOf, type IssuerPieces, isDiscovered } from './issuers.ts';

/** Refuses a feed outside of every upstream: the gateway signs its requests to the feed for that upstream. */
export function checkRevocationFeeds(
  issuers: readonly IssuerPieces[],
  upstreams: UpstreamPieces,
  refuse: Refuse,
): void {
  const all = Object.values(upstreams).map(({ targets }) => targets);
  // The feed may belong to a malformed target.
  if (all.includes(undefined)) return;
  const targets = new Set(all.flat());
  for (const [index, { revocations }] of issuers.entries()) {
    if (revocations === undefined || targets.has(new URL(revocations.url).origin)) continue;
    const message = 'is at no target of any upstream, so requests for it could not be signed';
    refuse(['issuers', index, 'revocations', 'url'], message);
  }
}

/** Refuses an issuer whose metadata would be fetched from a cloud's metadata service. */
export function checkDiscoveredHosts(issuers: readonly IssuerPieces[], refuse: Refuse): void {
  for (const [index, part] of issuers.entries()) {
    if (part.issuer === undefined || !isDiscovered(part) || !isForbiddenTarget(new URL(part.issuer).hostname)) continue;
    refuse(['issuers', index, 'issuer'], 'is a link-local or metadata address, from which nothing is fetched');
  }
}

/** Refuses URLs over plain http that leave this machine. */
export function checkIssuerUrls(issuers: readonly IssuerPieces[], refuse: Refuse): void {
  for (const [index, part] of issuers.entries()) {
    const { issuer, jwks, revocations } = part;
    if (jwks !== undefined && isPlainHttp(jwks)) refuse(['issuers', index, 'jwks'], plainHttp);
    // Its metadata, which names the URL of the keys, is fetched from the issuer itself.
    if (isDiscovered(part) && issuer !== undefined && isPlainHttp(issuer))
      refuse(['issuers', index, 'issuer'], plainHttp);
    if (revocations !== undefined && isPlainHttp(revocations.url)) {
      refuse(['issuers', index, 'revocations', 'url'], plainHttp);
    }
  }
}

/** Checks that the key files of issuers are usable. A URL without its scheme counts as a missing file. */
export function checkIssuerKeyFiles(
  issuers: readonly IssuerPieces[],
  directory: string,
  isMalformed: IsMalformed,
  refuse: Refuse,
): void {
  for (const [index, part] of issuers.entries()) {
    const { jwks } = part;
    if (jwks === undefined || isMalformed('issuers', index, 'algorithms') || isFetched(jwks)) continue;
    const why = whyNoIssuerKeys(resolve(directory, jwks), algorithmsOf(part));
    if (why !== undefined) {
      refuse(['issuers', index, 'jwks'], `is a file that ${why}; a URL begins with http:// or https://`);
    }
  }
}
