import { headersOfCall } from './dialect.ts';
import { headersOfResponse, removedFromRequest, removedFromResponse } from './headers.ts';
import type { ProxyPlan, Service } from './plan.ts';
import * as plans from './plan.ts';

/** The gateway's statuses. `return` accepts no variable, so each status needs its own line. */
const statusesOf = ({ errors }: ProxyPlan): readonly number[] =>
  [...new Set(Object.values(errors).map(({ status }) => status))].toSorted((a, b) => a - b);

/** Writes the content of an nginx `server`: the subrequest, one location per service, and one per kind of refusal. */
export const serverText = (
  plan: ProxyPlan,
): string => `# Written by \`countersign integrate nginx\` from gateway.yaml. For \`server\`.
client_max_body_size ${Math.max(...plan.routes.map(({ body }) => body.maxBytes))};
large_client_header_buffers 4 16k;

proxy_http_version 1.1;
proxy_buffer_size 16k;
proxy_buffers 8 16k;
# Never retries: a repeated request carries a used nonce, so the service would refuse it.
proxy_next_upstream off;
# Ignores these headers, so that a service cannot choose another location or control nginx's cache.
proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Charset Cache-Control Expires Vary Set-Cookie;
ignore_invalid_headers on;
underscores_in_headers off;
# If you configure a cache around this file, it must store neither decisions nor one caller's responses.
proxy_cache off;
proxy_no_cache 1;
proxy_cache_bypass 1;

# Asks the gateway. With \`internal\`, no client can reach this location.
location = /countersign-decide {
  internal;
  proxy_pass ${'isTls' in plan.decision && plan.decision.isTls ? 'https' : 'http'}://countersign-decision${plans.decidePath};
  proxy_pass_request_body off;
  proxy_connect_timeout 2s;
  proxy_read_timeout 5s;
  proxy_set_header Connection "";
  proxy_set_header Content-Length "";
  proxy_set_header Transfer-Encoding "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Countersign-Method $request_method;
  proxy_set_header X-Countersign-Target $countersign_asked;
  proxy_set_header X-Countersign-Scheme $scheme;
  proxy_set_header X-Countersign-Address $remote_addr;
  proxy_set_header X-Countersign-Content-Length $http_content_length;
  proxy_set_header X-Countersign-Transfer-Encoding $http_transfer_encoding;
${secretLine(plan)}${certificateLines(plan)}${removedFromRequest(plan)
  .map((name) => `  proxy_set_header ${name} "";`)
  .join('\n')}
}

location / {
  if ($countersign_preflight) {
    return 418;
  }
  auth_request /countersign-decide;
  auth_request_set $countersign_status $upstream_http_x_countersign_status;
  auth_request_set $countersign_code $upstream_http_x_countersign_code;
  auth_request_set $countersign_retry_after $upstream_http_retry_after;
  auth_request_set $countersign_challenge $upstream_http_www_authenticate;
  auth_request_set $countersign_allow $upstream_http_allow;
  auth_request_set $countersign_target $upstream_http_x_countersign_target;
  auth_request_set $countersign_upgrade $upstream_http_x_countersign_upgrade;
  auth_request_set $countersign_named $upstream_http_x_countersign_service;
${[...plans.setOnRequest(plan), ...headersOfResponse].map((name) => `  auth_request_set ${variable(name)} $upstream_http_${snake(name)};`).join('\n')}
  error_page 401 403 = @countersign-refused;
  # What nginx makes of a call that got no decision.
  error_page 500 = @countersign-none;
  error_page 418 = @countersign-public;
  # For the error_page of @countersign-public.
  recursive_error_pages on;
  # After the decision, continues at the location of the service that the gateway named.
  try_files /dev/null/none @$countersign_service;
}
${plans
  .servicesOf(plan)
  .map((service) => serviceLocation(service, plan))
  .join('\n')}

# If a service refuses the gateway's signature, the deployment is at fault, never the client's token.
location @countersign-service-401 {
  auth_request off;
  default_type application/problem+json;
  add_header X-Request-Id $countersign_x_request_id always;
  if ($countersign_refused) {
    return 502 '${plans.problemText(plan, 'identity_refused', '$countersign_x_request_id').replaceAll("'", "\\'")}';
  }
  return 401;
}

# Restores the status of a refusal, because nginx passes on only 401 and 403.
location @countersign-refused {
  auth_request off;
  default_type application/problem+json;
  add_header Cache-Control no-store always;
  add_header X-Request-Id $countersign_x_request_id always;
  add_header Retry-After $countersign_retry_after always;
  add_header Allow $countersign_allow always;
  add_header WWW-Authenticate $countersign_challenge_of_403 always;
${responseLines()}
  set $countersign_problem '{"type":"urn:countersign:error:$countersign_code","title":"$countersign_title","status":$countersign_status,"code":"$countersign_code","request_id":"$countersign_x_request_id"${plan.docs === undefined ? '' : `,"docs":"${plan.docs}$countersign_code"`}}';
${statusesOf(plan)
  .map((status) => `  if ($countersign_status = ${status}) {\n    return ${status} $countersign_problem;\n  }`)
  .join('\n')}
  return 503;
}

location @countersign-public {
${publicLines(plan)}
}
location = /.well-known/oauth-protected-resource {
${publicLines(plan)}
}
location ^~ /.well-known/oauth-protected-resource/ {
${publicLines(plan)}
}
location @countersign-none {
  auth_request off;
  default_type application/problem+json;
  add_header Cache-Control no-store always;
  return 503 '${plans.problemText(plan, 'unavailable')}';
}
`;

function certificateLines({ decision, serverName }: ProxyPlan): string {
  if ('socket' in decision || !decision.isTls) return '';
  return [
    `proxy_ssl_certificate ${plans.proxyFiles.cert};`,
    `proxy_ssl_certificate_key ${plans.proxyFiles.key};`,
    'proxy_ssl_verify on;',
    `proxy_ssl_trusted_certificate ${plans.proxyFiles.ca};`,
    `proxy_ssl_name ${serverName};`,
  ]
    .map((line) => `  ${line}\n`)
    .join('');
}

const secretLine = ({ secret }: ProxyPlan): string =>
  secret === undefined ? '' : `  proxy_set_header X-Countersign-Proxy-Secret "${secret}";\n`;

function serviceLocation(service: Service, plan: ProxyPlan): string {
  const { name, targets, timeouts, tls } = service;
  const set = plans.setOnRequest(plan);
  const [first = ''] = targets;
  const { protocol, hostname } = new URL(first);
  const tlsLines =
    protocol === 'https:'
      ? [
          'proxy_ssl_verify on;',
          'proxy_ssl_server_name on;',
          `proxy_ssl_name ${tls?.serverName ?? hostname};`,
          `proxy_ssl_trusted_certificate ${tls?.caFile ?? '/etc/ssl/certs/ca-certificates.crt'};`,
          ...(tls?.certFile === undefined ? [] : [`proxy_ssl_certificate ${tls.certFile};`]),
          ...(tls?.keyFile === undefined ? [] : [`proxy_ssl_certificate_key ${tls.keyFile};`]),
        ]
      : [];
  const lines = [
    // With a variable, nginx sends these bytes unchanged.
    `proxy_pass ${protocol}//${name}$countersign_target;`,
    ...tlsLines,
    `proxy_connect_timeout ${timeouts.connectMs}ms;`,
    `proxy_read_timeout ${Math.max(timeouts.responseMs, timeouts.idleMs)}ms;`,
    'proxy_set_header Host $proxy_host;',
    'proxy_set_header Upgrade $countersign_upgrade;',
    'proxy_set_header Connection $countersign_connection;',
    ...set.map((header) => `proxy_set_header ${header} ${variable(header)};`),
    ...[...headersOfCall, ...removedFromRequest(plan)]
      .filter((header) => !set.includes(header))
      .map((header) => `proxy_set_header ${header} "";`),
    ...removedFromResponse(plan, service).map((header) => `proxy_hide_header ${header};`),
    // nginx copies the challenge of each 401 that it intercepts.
    ...(service.identity.token?.unauthorized === 'pass'
      ? []
      : ['proxy_intercept_errors on;', 'error_page 401 = @countersign-service-401;']),
    'add_header X-Request-Id $countersign_x_request_id always;',
  ];
  return `\nlocation @${name} {\n${lines.map((line) => `  ${line}`).join('\n')}\n${responseLines()}\n}`;
}

const responseLines = (): string =>
  headersOfResponse.map((name) => `  add_header ${name} ${variable(name)} always;`).join('\n');

/** Passes the client's real address to the gateway's public listener, and ignores what the client claims about it. */
const publicLines = (plan: ProxyPlan): string =>
  [
    'auth_request off;',
    'error_page 502 504 = @countersign-none;',
    `proxy_pass ${publicScheme(plan)}://countersign-public;`,
    'proxy_set_header Host $http_host;',
    'proxy_set_header Connection "";',
    'proxy_set_header X-Forwarded-For $remote_addr;',
    // The gateway would continue the client's trace if it trusts the proxy.
    'proxy_set_header traceparent "";',
  ]
    .map((line) => `  ${line}`)
    .join('\n');

const publicScheme = (plan: ProxyPlan): string => (plan.public.isTls ? 'https' : 'http');

const snake = (name: string): string => name.toLowerCase().replaceAll('-', '_');
export const variable = (name: string): string => `$countersign_${snake(name)}`;
