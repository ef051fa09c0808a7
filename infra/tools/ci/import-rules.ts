/** A file or folder, and the sentence of the tables of folders in READMEs. Those without a sentence are in no table. */
type Layer = string | readonly [place: string, sentence: string];

export type FolderRules = Readonly<{
  /** Its folders and files, in order. A layer can import itself and the layers after it. Every file belongs to a layer. */
  layers: readonly Layer[];
  forbidden?: Readonly<Record<string, readonly string[]>>;
  /** By package, the only layers that import it. */
  only?: Readonly<Record<string, readonly string[]>>;
  /** Whether the rules hold for tests too. By default, a test can import anything within its workspace. */
  withTests?: boolean;
}>;

/** The file or folder of a layer. */
export const placeOf = (layer: Layer): string => (typeof layer === 'string' ? layer : layer[0]);

const app: Layer = ['app.ts', 'Every route in one list.'];
const errors: Layer = ['errors.ts', 'Every error code with its status and public text.'];
const routes: Layer = ['routes', 'HTTP: reads a request, calls a flow, answers.'];
const flows: Layer = ['flows', 'Use cases, with their transactions in order.'];

/** The rules of a service, with its own layers before and after `config.ts`. */
const serviceRules = (before: readonly Layer[], after: readonly Layer[]): FolderRules => ({
  layers: [
    ['main.ts', 'The executable.'],
    ['service.ts', 'The process: configuration, resources, listener, stop.'],
    ...before,
    ['config.ts', 'Reads the environment.'],
    ...after,
    ['store', 'SQL, one concept a file; migrations; the database roles of transactions.'],
    ['domain', 'Rules without I/O.'],
    errors,
  ],
  forbidden: {
    store: ['express'],
    // Domain rules must do no I/O.
    domain: ['express', 'kysely', 'pg', 'ioredis', 'node:http', 'node:fs', 'undici'],
  },
});

/** The rules by folder. In other folders, files can import each other freely, except in a cycle. */
export const importRules: Readonly<Record<string, FolderRules>> = {
  'gateway/src': {
    // Only the admin listener has an API to describe. Everything else of the gateway needs what every process needs.
    only: { '@countersign/service-kit': ['admin'] },
    layers: [
      ['main.ts', 'The executable.'],
      ['index.ts', 'The package: `countersignGateway` and `loadConfig`.'],
      ['cli', 'The commands of `countersign`, one file each.'],
      ['start-gateway.ts', 'Puts one gateway process together: listeners, metrics, configuration.'],
      [
        'middleware.ts',
        'The public routes as [Express middleware](https://github.com/countersign/countersign/blob/main/docs/middleware.md).',
      ],
      ['gateway.ts', 'A configuration that is kept up to date, for `serve` and the middleware.'],
      ['workers', 'Runs several gateway processes: the primary and its workers.'],
      ['admin', 'The admin listener: its JSON API, merged from all workers, the metrics, and the pages.'],
      ['reload', 'Opens the resources of a configuration, and replaces it with the next one.'],
      ['decision', 'Answers the auth requests of nginx, Caddy, HAProxy, Traefik and Envoy.'],
      ['listen', 'The public and the internal listener: the Express app, TLS, parse errors, pipelining.'],
      ['replay', 'Decides the requests of a log again, by a changed configuration.'],
      ['diff', 'Compares two configurations: who gains and who loses access, and which settings differ.'],
      ['explain', 'Says how a request would be handled: for the command line, the API, the pages and policy tests.'],
      [
        'pipeline',
        'The stages of a request: `pipeline.ts` lists them, each is a file, `respond.ts` answers every error.',
      ],
      ['upstreams', 'Forwards requests: connections and health, HTTP, WebSockets.'],
      ['metrics', 'Counts and histograms of requests.'],
      ['pipeline/exchange.ts', 'The types that a request gains from stage to stage.'],
      ['pipeline/request-record.ts', "The fields of a request's log line, and the access log."],
      [
        'tokens',
        'Verifies access tokens and DPoP proofs. `claim-mapping/` reads the claims of any provider, `introspection/` asks about opaque tokens.',
      ],
      ['events', 'Receives logouts and security events of identity providers.'],
      ['limits', 'Rate limits, connection limits, minimum upload rates.'],
      ['routing', 'Canonical request targets, the route table, the rules of a route.'],
      ['keys', 'Keys of issuers, of the gateway and of services: discovery, unknown keys, rotation.'],
      ['http', 'HTTP rules that stages and upstreams share.'],
      [
        'config',
        'Reads and validates gateway.yaml. `schema/` has a file for each key, `presets.yaml` the facts about identity providers.',
      ],
      errors,
    ],
  },
  'packages/identity/src': {
    layers: [
      ['testing.ts', 'A test gateway with a temporary key.'],
      ['index.ts', 'The package, without a framework.'],
      ['adapters', 'Express, Fastify and Web requests.'],
      ['nested', 'Calls from one service to another in the name of a caller.'],
      ['verify', 'Verifies the headers of a request.'],
      ['sign', 'Signs the headers of a request.'],
      ['keys', "The gateway's keys, and keys that a service agrees with it."],
      ['replay', 'Remembers nonces, in memory or in Redis.'],
      ['contract', 'The header contract: names, signature base, limits.'],
    ],
  },
  'packages/console/src': {
    layers: ['index.ts', 'routes.ts', 'views.ts', 'resources', 'html', 'schema'],
  },
  'packages/process-kit/src': {
    layers: [
      ['index.ts', 'The package.'],
      ['queue', 'Waits for turns, fairly between callers.'],
      ['http', 'Servers, bodies, problem+json, addresses, request log.'],
      ['process', 'Configuration, logs, health, metrics, shutdown.'],
      ['errors.ts', 'Errors by code.'],
    ],
  },
  'packages/service-kit/src': {
    layers: [
      ['index.ts', 'The package.'],
      ['read-seed.ts', 'Reads the data of a demonstration.'],
      ['gateway', 'A service behind the gateway, from start to shutdown.'],
      ['api', 'Declares routes once: validation, guards, OpenAPI.'],
      ['html', 'Pages from the server: escaping, style sheet, icon.'],
      ['http', 'The Express app of a service and its middleware.'],
    ],
  },
  'auth-service/src': serviceRules(
    [['outgoing.ts', 'Opens the connections to other servers: mail, the users-service.']],
    [app, ['operator', 'The Unix socket for the commands of `countersign-auth`, and their client.'], routes, flows],
  ),
  'users-service/src': serviceRules([], [routes]),
  'complaint-service/src': serviceRules(
    [['background.ts', 'Work between requests: mail, webhooks, deletion.']],
    [
      app,
      ['seed', "The demonstration's complaints."],
      routes,
      flows,
      ['directory', 'Asks the users-service for names and people.'],
      ['files', 'Stores attachments.'],
      ['outgoing', 'Sends to receivers of webhooks.'],
    ],
  ),
  infra: {
    layers: [
      [
        'tools',
        'The checks of `.ci/run` (`ci/`), `npm run docs` (`docs/`), types of the client, unused code, releases.',
      ],
      ['prove', 'Suites of whole stacks: end to end, faults, console, web, verifiers, conformance, packages.'],
      [
        'measure',
        'Benchmarks: [the page](../docs/benchmarks.md), [scale](../docs/operations/scale.md), [sizes](../docs/operations/sizes.md).',
      ],
      [
        'ship',
        'Docker images, compose, [Kubernetes](../docs/operations/kubernetes.md), [alerts and a dashboard](../docs/operations/metrics.md#alerts-and-a-dashboard), backup and restore.',
      ],
      ['stacks', 'Starts processes and servers for suites and benchmarks.'],
      ['run', '`npm start`: keys, secrets and the processes on this machine.'],
    ],
    withTests: true,
  },
  'packages/conformance/src': {
    layers: [
      ['index.ts', 'The package.'],
      ['run.ts', 'Serves the key set, and sends every vector.'],
      ['probes.ts', 'What no vector can show, such as one request many times at once.'],
      ['judge.ts', 'Compares an answer with the contract.'],
      ['send.ts', 'Sends a request byte for byte.'],
      ['renew.ts', 'Signs a vector anew, and keeps its fault.'],
      ['token-cases.ts', 'The key and the identity tokens of one run.'],
      ['run-keys.ts', 'The keys of one run.'],
      ['vectors.ts', 'Reads the vectors of `@countersign/identity`.'],
    ],
  },
};
