import { createServer } from 'node:http';
import { createVerifier, gatewayKeys, memoryReplay, verifyUpgrade } from '@countersign/identity';
import { WebSocketServer } from 'ws';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const verify = verifyUpgrade({ verifier: createVerifier({ audience: 'my-service', keys, replay: memoryReplay() }) });
const sockets = new WebSocketServer({ noServer: true });
// Plain requests: an app with `verifyIdentity`, as in the other examples.
const server = createServer((_req, res) => void res.writeHead(426, { upgrade: 'websocket' }).end());
server.on('upgrade', async (req, socket, head) => {
  const identity = await verify(req, socket);
  // verifyUpgrade has responded with 401, 403 or 503.
  if (identity === undefined) return;
  sockets.handleUpgrade(req, socket, head, (client) => {
    client.on('error', () => client.terminate());
    client.on('message', (data) => client.send(`${identity.userId}: ${data}`));
  });
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
