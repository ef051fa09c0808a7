import { isPlainHttp } from '@countersign/process-kit';
import { readTlsFiles, UnusableTlsFile } from '../files.ts';
import { resolveTls } from '../schema/upstreams.ts';
import { plainHttp } from '../schema/values/urls.ts';
import { below, type CheckedFile, type Refuse, type UpstreamPieces } from './cross-checks.ts';
import { ownListenerAt } from './listen-checks.ts';

export function checkUpstreams(file: CheckedFile, refuse: Refuse): void {
  for (const [name, part] of Object.entries(file.upstreams)) {
    const refuseHere = below(refuse, 'upstreams', name);
    checkTargets(part, file, refuseHere);
    checkTls(part, file, refuseHere);
    // FIPS 140-3, SP 800-186.
    if (file.isFips && part.identity?.algorithm === 'agreed') {
      const message = 'agreed needs X25519, which Node does not offer in FIPS mode: use ed25519 or hmac-sha256';
      refuseHere(['identity', 'algorithm'], message);
    }
    // The service must sign the calls that it makes with the token, so it needs a key.
    if (part.txnToken && !file.isMalformed('services') && !Object.hasOwn(file.services, name)) {
      refuseHere(['txnToken'], `"${name}" has no keys under services, so it could not use the token`);
    }
  }
}

/**
 * Refuses plain http to other machines, and the gateway's own listeners. A route to admin would expose it
 * (CVE-2020-11710).
 */
function checkTargets(
  { targets = [] }: UpstreamPieces[string],
  { listen, insecureTransport }: CheckedFile,
  refuse: Refuse,
): void {
  for (const [index, target] of targets.entries()) {
    if (!insecureTransport && isPlainHttp(target)) refuse(['targets', index], plainHttp);
    const own = ownListenerAt(target, listen);
    if (own !== undefined) refuse(['targets', index], `is the gateway's own listen.${own}`);
  }
}

function checkTls({ tls, targets }: UpstreamPieces[string], { directory, unread }: CheckedFile, refuse: Refuse): void {
  if (tls === undefined) return;
  if (targets?.some((target) => target.startsWith('http:'))) refuse(['tls'], 'works only with https targets');
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    refuse(['tls'], 'set both "cert" and "key", or neither');
    return;
  }
  if (unread !== undefined) {
    for (const path of [tls.ca, tls.cert, tls.key]) if (path !== undefined) unread.add(path);
    return;
  }
  try {
    readTlsFiles(resolveTls(tls, directory));
  } catch (error) {
    if (!(error instanceof UnusableTlsFile)) throw error;
    refuse(['tls', error.key], error.why);
  }
}
