import { mintIssuer, recordingUpstream } from '@countersign/testing';

/** Starts an issuer that serves its metadata at every path, and its keys at `/keys`. */
export async function startIssuer(audience: string) {
  const server = await recordingUpstream({
    answer: ({ target }, res) => {
      const metadata = { issuer: issuer.issuer, jwks_uri: `${server.url}/keys` };
      res
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify(target === '/keys' ? issuer.jwks : metadata));
    },
  });
  const issuer = await mintIssuer({ issuer: server.url, audience });
  return { ...issuer, close: server.close };
}
