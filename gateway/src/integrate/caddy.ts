import type { GatewayConfig, Route, Upstream } from '../config/config.ts';
import { isSocket } from '../config/schema/decision.ts';
import { headersOfRequest } from '../decision/dialect.ts';
import { errorTable } from '../errors.ts';
import { headersOfCall, removedFromRequest } from './headers.ts';
import type { Printed } from './printed.ts';

/**
 * Writes a Caddyfile. One `route` holds everything in order: Caddy's own order runs `request_header` after `forward_auth`, and would
 * delete the signed headers. `copy_headers` is not used: before Caddy 2.11 it keeps a client's header that the decision does not set.
 */
export function printCaddy(config: GatewayConfig, listen: string): Printed {
  const routes = config.routes.filter(({ auth }) => auth !== 'service');
  const upstreams = [...new Set(routes.map(({ upstream }) => upstream))];
  const removed = [...headersOfCall, ...removedFromRequest(config)];
  const text = `# Written by \`countersign integrate caddy\` from gateway.yaml. Run it: caddy run --config Caddyfile
{
	admin off
	auto_https off
}

http://:${listen.slice(listen.lastIndexOf(':') + 1)} {
	bind ${listen.slice(0, listen.lastIndexOf(':'))}
	route {
		# A client's own identity headers. The gateway refuses the spellings that are not listed here.
${lines(removed.map((name) => `request_header -${name}`))}

		# Caddy would drop what a client names in Connection, after the decision has set it (CVE-2024-45410).
		@upgrade header_regexp Connection (?i)upgrade
		request_header @upgrade Connection Upgrade
		@plain not header_regexp Connection (?i)upgrade
		request_header @plain -Connection

		# Preflights and OAuth metadata carry no identity. The gateway's public listener answers them.
		@own {
			method OPTIONS
			header Access-Control-Request-Method *
		}
		reverse_proxy @own ${publicServer(config)}
		reverse_proxy /.well-known/oauth-protected-resource* ${publicServer(config)}

		# Asks the gateway. Every answer but 2xx goes to the client as it is.
		reverse_proxy ${decisionServer(config)} {
			method GET
			rewrite "/decide?"
			header_up X-Forwarded-Method {http.request.method}
			header_up X-Forwarded-Uri {http.request.orig_uri}
			header_up X-Forwarded-Host {http.request.hostport}
${secretLines(config)}
			@allowed status 2xx
			handle_response @allowed {
				route {
					request_header -Authorization
					request_header -DPoP
					request_header -Cookie
					request_header -X-Forwarded-For
${headersOfRequest.map(copied).join('\n')}
				}
			}
		}
${routes.flatMap(rewriteLines).join('\n')}
${upstreams.map(upstreamLines).join('\n')}
		respond 503
	}
}
`;
  return { Caddyfile: { text, mode: 0o600 } };
}

const lines = (all: readonly string[]): string => all.map((line) => `\t\t${line}`).join('\n');

/** As Go writes a header's name: Caddy finds it by this spelling only. */
const canonical = (name: string): string => name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());

/** Sets a header from the decision; not if the decision has none: an empty identity header is refused by the service. */
function copied(name: string): string {
  const value = `{http.reverse_proxy.header.${canonical(name)}}`;
  const matcher = `@has_${name.replaceAll('-', '_')}`;
  return `\t\t\t\t\t${matcher} expression \`${value} != null\`\n\t\t\t\t\trequest_header ${matcher} ${name} ${value}`;
}

function secretLines({ decision }: GatewayConfig): string {
  const [secret] = decision?.secrets ?? [];
  return secret === undefined
    ? ''
    : `\t\t\theader_up X-Countersign-Proxy-Secret ${JSON.stringify(Buffer.from(secret).toString())}`;
}

const publicServer = ({ listen: { public: address } }: GatewayConfig): string => `${address.host}:${address.port}`;

function decisionServer({ listen: { decision } }: GatewayConfig): string {
  if (decision === undefined) throw new Error('check refuses a file without it');
  return isSocket(decision) ? `unix/${decision.socket}` : `${decision.host}:${decision.port}`;
}

function rewriteLines({ name, path, rewrite }: Route): readonly string[] {
  if (rewrite === undefined) return [];
  const pattern = path.replace(/\/:[^/]+/g, '/*').replace(/\/\*\*$/, '/*');
  return [
    `\t\t@rewrite_${name} path ${pattern}`,
    `\t\turi @rewrite_${name} path_regexp ^${rewrite.from === '/' ? '' : rewrite.from} ${rewrite.to === '/' ? '' : rewrite.to}`,
  ];
}

function upstreamLines({ name, targets, timeouts, tls }: Upstream): string {
  const transport = [
    `dial_timeout ${timeouts.connectMs}ms`,
    `response_header_timeout ${timeouts.responseMs}ms`,
    ...(targets[0]?.startsWith('https:') && tls?.caFile !== undefined ? [`tls_trusted_ca_certs ${tls.caFile}`] : []),
    ...(tls?.certFile === undefined ? [] : [`tls_client_auth ${tls.certFile} ${tls.keyFile}`]),
  ];
  const body = `{"type":"urn:countersign:error:identity_refused","title":"${errorTable.identity_refused.title}","status":502,"code":"identity_refused","request_id":"{http.request.header.X-Request-Id}"}`;
  return `		@to_${name} header X-Identity-Audience ${name}
		reverse_proxy @to_${name} ${targets.join(' ')} {
			lb_try_duration 0s
			header_up Host {http.reverse_proxy.upstream.hostport}
			header_up X-Forwarded-For {http.request.header.X-Forwarded-For}
${headersOfRequest
  // Caddy deletes after it sets.
  .filter((header) => header !== 'x-request-id')
  .map((header) => `\t\t\theader_down -${header}`)
  .join('\n')}
			header_down X-Request-Id {http.request.header.X-Request-Id}
			transport http {
${transport.map((line) => `\t\t\t\t${line}`).join('\n')}
			}
			@refused_${name} {
				status 401
				header X-Identity-Refused *
			}
			handle_response @refused_${name} {
				header Content-Type application/problem+json
				header X-Request-Id {http.request.header.X-Request-Id}
				respond \`${body}\` 502
			}
		}`;
}
