/** The allowed imports of a workspace's `src` files. Tests have no rules. */
export type WorkspaceRules = Readonly<{
  /**
   * Folders and files in `src`, in order. A layer can import itself and the layers after it. Every file belongs to a
   * layer.
   */
  layers: readonly string[];
  /** Packages that a layer must not import. */
  forbidden?: Readonly<Record<string, readonly string[]>>;
}>;

const forbidden = {
  store: ['express'],
  // Domain rules must do no I/O.
  domain: ['express', 'kysely', 'pg', 'ioredis', 'node:http', 'node:fs', 'undici'],
};

/** The rules by workspace folder. In other workspaces, folders can import each other freely. */
export const importRules: Readonly<Record<string, WorkspaceRules>> = {
  gateway: {
    layers: [
      'main.ts',
      'index.ts',
      'cli',
      'start-gateway.ts',
      'middleware.ts',
      'gateway.ts',
      'workers',
      'admin',
      'reload',
      'decision',
      'listen',
      'explain',
      'pipeline',
      'upstreams',
      'metrics',
      'pipeline/exchange.ts',
      'pipeline/request-record.ts',
      'tokens',
      'events',
      'limits',
      'routing',
      'keys',
      'http',
      'config',
      'errors.ts',
    ],
  },
  'packages/identity': {
    layers: ['testing.ts', 'index.ts', 'adapters', 'nested', 'verify', 'sign', 'keys', 'replay', 'contract'],
  },
  'packages/http1-client': {
    layers: [
      'index.ts',
      'get.ts',
      'connection-pool.ts',
      'connection.ts',
      'exchange.ts',
      'upload.ts',
      'open-socket.ts',
      'tls-transport.ts',
      'response-parser.ts',
      'response-head.ts',
      'exchange-error.ts',
      'dispatcher.ts',
      'token.ts',
    ],
  },
  'packages/console': {
    layers: ['index.ts', 'routes.ts', 'pages.ts', 'pages', 'html', 'kept-pages.ts'],
  },
  'packages/admin-api': {
    layers: [
      'index.ts',
      'endpoints.ts',
      'certificates.ts',
      'explain.ts',
      'limits.ts',
      'processes.ts',
      'requests.ts',
      'routes.ts',
      'trust.ts',
      'upstreams.ts',
      'traffic.ts',
      'time-slots.ts',
      'values.ts',
      'merge.ts',
    ],
  },
  'packages/jwks': {
    layers: [
      'index.ts',
      'remote-key-set.ts',
      'static-key-set.ts',
      'schedule.ts',
      'fetch-jwks.ts',
      'parse-jwks.ts',
      'key-set.ts',
      'import-jwk.ts',
      'roca.ts',
      'base64url.ts',
      'thumbprint.ts',
    ],
  },
  'packages/revocations': {
    layers: ['index.ts', 'feed.ts', 'revocation-batch.ts', 'revocations.ts', 'table.ts', 'revoked-subject.ts'],
  },
  'packages/signals': {
    layers: [
      'index.ts',
      'logout-token.ts',
      'security-event.ts',
      'subject.ts',
      'signed-token.ts',
      'end.ts',
      'push.ts',
      'seen-ids.ts',
      'shared-log.ts',
      'journal.ts',
      'stored-end.ts',
      'tenant-quotas.ts',
      'presets.ts',
      'signal-error.ts',
    ],
  },
  'packages/mail': {
    layers: ['index.ts', 'config.ts', 'file-mailer.ts', 'smtp-mailer.ts', 'mailer.ts'],
  },
  'packages/service-kit': {
    layers: ['index.ts', 'gateway', 'api', 'html', 'http', 'process', 'errors.ts'],
  },
  'auth-service': {
    layers: [
      'main.ts',
      'service.ts',
      'outgoing.ts',
      'config.ts',
      'app.ts',
      'operator',
      'routes',
      'flows',
      'store',
      'domain',
      'errors.ts',
    ],
    forbidden,
  },
  'users-service': {
    layers: ['main.ts', 'service.ts', 'config.ts', 'app.ts', 'seed.ts', 'routes', 'store', 'domain', 'errors.ts'],
    forbidden,
  },
  'complaint-service': {
    layers: [
      'main.ts',
      'service.ts',
      'background.ts',
      'config.ts',
      'app.ts',
      'seed',
      'routes',
      'flows',
      'directory',
      'files',
      'outgoing',
      'store',
      'domain',
      'errors.ts',
    ],
    forbidden,
  },
};
