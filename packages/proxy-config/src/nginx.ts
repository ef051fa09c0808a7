import { serverText, variable } from './nginx-server.ts';
import { type Printed, type ProxyPlan, proofFor, refusesTokens, type Service, servicesOf } from './plan.ts';

/** The oldest version without a known bug in the features that this file uses. */
export const lowestNginx = '1.26.3';

/**
 * Writes an nginx.conf, and the two files that it includes in `http` and `server`. An existing nginx.conf can include
 * those two as well. One subrequest asks the gateway, and each service has a named location.
 *
 * The gateway returns the signed target in a header, and nginx sends that target unchanged. nginx decodes and
 * normalizes `$uri`, so the file must not use it.
 */
export function printNginx(plan: ProxyPlan): Printed {
  return {
    'nginx.conf': { text: mainText(plan), mode: 0o644 },
    'countersign-http.conf': { text: httpText(plan), mode: 0o644 },
    // Contains the secret.
    'countersign-server.conf': { text: serverText(plan), mode: 0o600 },
  };
}

const mainText = (
  plan: ProxyPlan,
): string => `# Written by \`countersign integrate nginx\` from gateway.yaml. Run it: nginx -p DIR -c nginx.conf
# To use your own nginx.conf, include the other two files:
# https://github.com/countersign/countersign/blob/main/docs/behind-a-proxy.md
error_log stderr warn;
pid nginx.pid;
${userLine(plan)}
events {
  worker_connections 4096;
}

http {
  access_log off;
  server_tokens off;
  client_body_temp_path client-body;
  proxy_temp_path proxied;
  include countersign-http.conf;

  server {
    listen ${plan.listen};
    include countersign-server.conf;
  }
}
`;

function httpText(plan: ProxyPlan): string {
  const services = servicesOf(plan);
  return `# Written by \`countersign integrate nginx\` from gateway.yaml. For \`http\`.
# Needs nginx ${lowestNginx} or later with ngx_http_auth_request_module.
variables_hash_max_size 2048;
proxy_headers_hash_max_size 2048;
proxy_headers_hash_bucket_size 128;
upstream countersign-decision {
  server ${decisionServer(plan)};
  keepalive 128;
}
upstream countersign-public {
  server ${plan.public.host}:${plan.public.port};
}
${services.map(serverLines).join('\n')}

# Preflight and OAuth metadata requests carry no identity. The gateway's public listener answers them.
map "$request_method $http_access_control_request_method" $countersign_preflight {
  default 0;
  "~^OPTIONS ." 1;
}
# $request_uri lacks the origin of an absolute URL. The gateway refuses absolute URLs.
map $request $countersign_asked {
  default $request_uri;
  "~^\\S+ (?<countersign_absolute>[^/*]\\S*)" $countersign_absolute;
}
map $countersign_upgrade $countersign_connection {
  default "";
  websocket upgrade;
}
# Accepts only a known service, and only with its signature or token.
map $countersign_named $countersign_known {
  default countersign-none;
${services.map(({ name }) => `  ${name} ${name};`).join('\n')}
}
map $countersign_named $countersign_proof {
  default $countersign_signature;
${lines(services, (service) => (service.identity.headers ? undefined : variable(proofFor(service))))}}
map $countersign_proof $countersign_service {
  default $countersign_known;
  "" countersign-none;
}
# A service that refuses the gateway's token: the gateway has verified the caller.
map $countersign_named $countersign_refused {
  default $upstream_http_x_identity_refused;
${lines(services, (service) => (refusesTokens(service) ? 'token' : undefined))}}
# nginx itself passes on the challenge in a 401.
map $countersign_status $countersign_challenge_of_403 {
  default $countersign_challenge;
  401 "";
}
# The public text for each error code. Nothing else from the gateway's response reaches the client.
map $countersign_code $countersign_title {
  default "The request was refused.";
${titles(plan).join('\n')}
}
`;
}

/** If root starts nginx, its workers run as another user, which must be in the socket's group. */
const userLine = ({ decision }: ProxyPlan): string =>
  'socket' in decision && decision.group !== undefined ? `user nobody ${decision.group};\n` : '';

const decisionServer = ({ decision }: ProxyPlan): string =>
  'socket' in decision ? `unix:${decision.socket}` : `${decision.host}:${decision.port}`;

const serverLines = ({ name, targets }: Service): string =>
  [
    `upstream ${name} {`,
    ...targets.map((target) => {
      const { hostname, port, protocol } = new URL(target);
      return `  server ${hostname}:${port || (protocol === 'https:' ? 443 : 80)};`;
    }),
    '  keepalive 128;',
    '}',
  ].join('\n');

/** The lines of a map, for the services that have a value of their own. */
const lines = (services: readonly Service[], valueFor: (service: Service) => string | undefined): string =>
  services.map((service) => (valueFor(service) ? `  ${service.name} ${valueFor(service)};\n` : '')).join('');

const titles = ({ errors }: ProxyPlan): readonly string[] =>
  Object.entries(errors).map(([code, { title }]) => `  ${code} "${title.replace(/["\\$]/g, '\\$&')}";`);
