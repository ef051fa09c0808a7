import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

// An issuer to practice with. It writes a token for Ada to its log, and publishes the key that verifies the token.
const issuer = 'http://issuer:4000';
const header = { alg: 'ES256', kid: String(Date.now()), typ: 'at+jwt' };
const { publicKey, privateKey } = await generateKeyPair('ES256');
const claims = { iss: issuer, aud: 'api', sub: 'ada', jti: '1', client_id: 'practice' };
const token = await new SignJWT(claims)
  .setProtectedHeader(header)
  .setIssuedAt()
  .setExpirationTime('1h')
  .sign(privateKey);
process.stdout.write(`${token}\n`);
const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: header.kid, alg: 'ES256', use: 'sig' }] };
const metadata = { issuer, jwks_uri: `${issuer}/keys` };
const server = createServer((req, res) => {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(req.url === '/keys' ? keys : metadata));
}).listen(4000);
process.on('SIGTERM', () => server.close(() => process.exit()));
