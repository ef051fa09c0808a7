import { resolve } from 'node:path';
import { whyNoIssuerKeys } from '../../issuer-key-file.ts';
import type { Refuse } from '../cross-checks.ts';
import type { UpstreamPieces } from '../upstreams.ts';
import { isFetched, isForbiddenTarget, isPlainHttp, plainHttp } from '../values/urls.ts';
import { algorithmsOf, type IssuerPieces, isDiscovered } from './issuers.ts';

/** What the URLs and files of an issuer are checked against. */
export type IssuerSurroundings = Readonly<{
  /** Of the file: key files are relative to it. */
  directory: string;
  upstreams: UpstreamPieces;
  insecureTransport?: boolean | undefined;
}>;

export function checkIssuerUrls(part: IssuerPieces, around: IssuerSurroundings, refuse: Refuse): void {
  const { jwks, revocations: feed } = part;
  // The metadata, which names the URL of the keys, is fetched from the issuer itself.
  const issuer = isDiscovered(part) ? part.issuer : undefined;
  if (issuer !== undefined && isForbiddenTarget(new URL(issuer).hostname)) {
    refuse(['issuer'], 'is a link-local or metadata address, from which nothing is fetched');
  }
  // The gateway signs its requests to the feed for an upstream.
  if (feed !== undefined && isAtNoTarget(feed.url, around.upstreams)) {
    refuse(['revocations', 'url'], 'is at no target of any upstream, so requests for it could not be signed');
  }
  if (around.insecureTransport) return;
  if (issuer !== undefined && isPlainHttp(issuer)) refuse(['issuer'], plainHttp);
  if (jwks !== undefined && isPlainHttp(jwks)) refuse(['jwks'], plainHttp);
  if (feed !== undefined && isPlainHttp(feed.url)) refuse(['revocations', 'url'], plainHttp);
}

function isAtNoTarget(url: string, upstreams: UpstreamPieces): boolean {
  const all = Object.values(upstreams).map(({ targets }) => targets);
  // The URL may belong to a malformed target.
  return !all.includes(undefined) && !all.flat().includes(new URL(url).origin);
}

/** Checks that a key file is usable. A URL without its scheme counts as a missing file. */
export function checkIssuerKeyFile(part: IssuerPieces, directory: string, refuse: Refuse): void {
  if (part.jwks === undefined || isFetched(part.jwks)) return;
  const why = whyNoIssuerKeys(resolve(directory, part.jwks), algorithmsOf(part));
  if (why !== undefined) refuse(['jwks'], `is a file that ${why}; a URL begins with http:// or https://`);
}
