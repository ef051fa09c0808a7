// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { expect, test } from '@jest/globals';
import { exampleConfig, exampleRoutes } from '../../test/kit/example-config.ts';

test('a redacted configuration shows variable names, and no values from the environment', () => {
  const env = { SECRET: 'a-canary-of-thirty-two-bytes-or-more', ROLE: 'canary-role', HOST_OF_REDIS: 'canary.test' };
  const { redacted } = exampleConfig(
    `  other:
    targets: ["http://127.0.0.1:\${PORT:-8083}"]
    identity: { algorithm: hmac-sha256, secret: "\${SECRET}" }
redis: "redis://user:canary-password@\${HOST_OF_REDIS}:\${PORT:-6379}/1"
${exampleRoutes.trimEnd().slice(0, -2)}, allow: { roles: ["\${ROLE}"] } }
`,
    env,
  );
  expect(redacted).not.toContain('canary');
  expect(JSON.parse(redacted)).toMatchObject({
    version: 1,
    redis: 'redis://[redacted]@${HOST_OF_REDIS}:6379/1',
    upstreams: {
      other: {
        targets: ['http://127.0.0.1:8083'],
        identity: { algorithm: 'hmac-sha256', secret: '${SECRET}' },
      },
    },
    routes: [{ name: 'me', auth: 'required', allow: { roles: ['${ROLE}'] } }],
  });
});

test('a password with an @ or a slash is redacted', () => {
  const { redacted } = exampleConfig(`redis: "redis://:ca@nary/x@127.0.0.1:6379"\n${exampleRoutes}`);
  expect(redacted).not.toContain('nary');
});
