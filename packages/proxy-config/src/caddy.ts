import { identityPrefixes, proxyHeaders } from '@countersign/identity';
import { headersOfCall } from './dialect.ts';
import { removedFromRequest, removedFromResponse, withoutFamilies } from './headers.ts';
import type { OrderedRoute, Printed, ProxyPlan, Service } from './plan.ts';
import * as plans from './plan.ts';

/**
 * Writes a Caddyfile, and the part of a site that it imports. An existing site can import that part as well. One `route`
 * holds everything in order, because Caddy's own order runs `request_header` after `forward_auth` and would delete the
 * signed headers. Does not use `copy_headers`: before Caddy 2.11, it keeps a client's header that the decision does not
 * set.
 */
export function printCaddy(plan: ProxyPlan): Printed {
  const { listen } = plan;
  return {
    Caddyfile: {
      text: `# Written by \`countersign integrate caddy\` from gateway.yaml. Run it in this directory: caddy run
# To use your own Caddyfile, import the other file in your site:
# https://github.com/countersign/countersign/blob/main/docs/behind-a-proxy.md
{
	admin off
	auto_https off
}

http://:${listen.slice(listen.lastIndexOf(':') + 1)} {
	bind ${listen.slice(0, listen.lastIndexOf(':'))}
	import countersign.caddy
}
`,
      mode: 0o644,
    },
    // Contains the secret.
    'countersign.caddy': { text: siteText(plan), mode: 0o600 },
  };
}

function siteText(plan: ProxyPlan): string {
  const removed = [...headersOfCall, ...removedFromRequest(plan)];
  return `# Written by \`countersign integrate caddy\` from gateway.yaml. For a site.
route {
	request_body {
		max_size ${Math.max(...plan.routes.map(({ body }) => body.maxBytes))}
	}
	# Removes identity headers that a client sent. The gateway refuses spellings that are not listed here.
${lines(removed.map((name) => `request_header -${name}`))}

	# Otherwise Caddy would drop headers that a client names in Connection, after the decision set them (CVE-2024-45410).
	@upgrade header_regexp Connection (?i)upgrade
	request_header @upgrade Connection Upgrade
	@plain not header_regexp Connection (?i)upgrade
	request_header @plain -Connection

	# Caddy does not show the body to the gateway, not even its length if it is chunked. A service refuses an unsigned body.
	@body_of_get {
		method GET HEAD
		header_regexp Content-Length [1-9]
	}
	respond @body_of_get 400

	# Preflight and OAuth metadata requests carry no identity. The gateway's public listener answers them.
	@own {
		method OPTIONS
		header Access-Control-Request-Method *
	}
	reverse_proxy @own ${publicServer(plan)} {
		header_up -Traceparent
	}
	@metadata path /.well-known/oauth-protected-resource /.well-known/oauth-protected-resource/*
	reverse_proxy @metadata ${publicServer(plan)} {
		header_up -Traceparent
	}

	# Asks the gateway. Every response other than 2xx goes to the client unchanged.
	reverse_proxy ${decisionServer(plan)} {
		method GET
		rewrite "${plans.decidePath}?"
		transport http {
			dial_timeout 2s
			response_header_timeout 5s
${certificateLines(plan)}		}
		header_up X-Forwarded-Method {http.request.method}
		header_up X-Forwarded-Uri {http.request.orig_uri}
		header_up X-Forwarded-Host {http.request.hostport}
${secretLines(plan)}
		@allowed status 2xx
		handle_response @allowed {
			route {
				request_header -Authorization
				request_header -DPoP
				request_header -Cookie
				request_header -Traceparent
				request_header -X-Forwarded-For
				@no_upgrade expression \`{http.reverse_proxy.header.X-Countersign-Upgrade} == null\`
				request_header @no_upgrade -Upgrade
				request_header @no_upgrade -Connection
				request_header -HTTP2-Settings
${[...plans.setOnRequest(plan), 'x-countersign-service'].map(copied).join('\n')}
			}
		}
	}
${corsLines(plan)}
${plans.orderedRoutes(plan).flatMap(rewriteLines).join('\n')}
${plans
  .servicesOf(plan)
  .map((service) => serviceLines(service, plan))
  .join('\n')}
	respond 503
}
`;
}

const lines = (all: readonly string[]): string => all.map((line) => `\t${line}`).join('\n');

/** Writes a header name in Go's canonical form, because Caddy finds a header only by that spelling. */
const canonical = (name: string): string => name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());

/** Sets a header from the decision, if the decision has it. Services refuse an empty identity header. */
function copied(name: string): string {
  const value = `{http.reverse_proxy.header.${canonical(name)}}`;
  const matcher = `@has_${name.replaceAll('-', '_')}`;
  return `\t\t\t\t${matcher} expression \`${value} != null\`\n\t\t\t\trequest_header ${matcher} ${name} ${value}`;
}

function certificateLines({ decision, serverName }: ProxyPlan): string {
  if ('socket' in decision || !decision.isTls) return '';
  const { cert, key, ca } = plans.proxyFiles;
  return [`tls_client_auth ${cert} ${key}`, `tls_trusted_ca_certs ${ca}`, `tls_server_name ${serverName}`]
    .map((line) => `\t\t\t${line}\n`)
    .join('');
}

const secretLines = ({ secret }: ProxyPlan): string =>
  secret === undefined ? '' : `\t\theader_up X-Countersign-Proxy-Secret ${JSON.stringify(secret)}`;

const publicServer = ({ public: { host, port, isTls } }: ProxyPlan): string =>
  `${isTls ? 'https://' : ''}${host}:${port}`;

const decisionServer = ({ decision }: ProxyPlan): string =>
  'socket' in decision
    ? `unix/${decision.socket}`
    : `${decision.isTls ? 'https://' : ''}${decision.host}:${decision.port}`;

/** Caddy passes no decision headers on to the client. `defer` runs after the service's headers are removed. */
function corsLines({ cors }: ProxyPlan): string {
  if (cors === undefined) return '';
  return `	header {
		+Vary Origin
		defer
	}
	@listed header Origin ${cors.origins.join(' ')}
	header @listed {
		Access-Control-Allow-Origin {http.request.header.Origin}
		Access-Control-Expose-Headers "${cors.exposed}"${cors.credentials ? '\n\t\tAccess-Control-Allow-Credentials true' : ''}
		defer
	}`;
}

function rewriteLines({ route: { name, rewrite }, pattern }: OrderedRoute): readonly string[] {
  if (rewrite === undefined) return [];
  return [
    `\t@rewrite_${name} path_regexp ${pattern}`,
    `\turi @rewrite_${name} path_regexp ^${rewrite.from === '/' ? '' : rewrite.from} ${rewrite.to === '/' ? '' : rewrite.to}`,
  ];
}

function serviceLines(service: Service, plan: ProxyPlan): string {
  const { name, targets, timeouts, tls } = service;
  const transport = [
    `dial_timeout ${timeouts.connectMs}ms`,
    `response_header_timeout ${timeouts.responseMs}ms`,
    ...(targets[0]?.startsWith('https:') && tls?.caFile !== undefined ? [`tls_trusted_ca_certs ${tls.caFile}`] : []),
    ...(tls?.serverName === undefined ? [] : [`tls_server_name ${tls.serverName}`]),
    ...(tls?.certFile === undefined ? [] : [`tls_client_auth ${tls.certFile} ${tls.keyFile}`]),
  ];
  const body = plans.problemText(plan, 'identity_refused', '{http.request.header.X-Request-Id}');
  return `	@to_${name} {
		header X-Countersign-Service ${name}
		header ${plans.proofFor(service)} *
	}
	reverse_proxy @to_${name} ${targets.join(' ')} {
		lb_try_duration 0s
		header_up -X-Countersign-Service
		header_up Host {http.reverse_proxy.upstream.hostport}
		header_up X-Forwarded-For {http.request.header.X-Forwarded-For}
${[
  ...identityPrefixes.map((prefix) => `${prefix}*`),
  ...Object.values(proxyHeaders).flat(),
  ...withoutFamilies(removedFromResponse(plan, service)),
]
  // Caddy deletes headers after it sets others.
  .filter((header) => header !== 'x-request-id')
  .map((header) => `\t\theader_down -${header}`)
  .join('\n')}
		header_down X-Request-Id {http.request.header.X-Request-Id}
		transport http {
${transport.map((line) => `\t\t\t${line}`).join('\n')}
		}
		@refused_${name} {
			status 401
${plans.refusesTokens(service) ? '' : '\t\t\theader X-Identity-Refused *\n'}		}
		handle_response @refused_${name} {
			header Content-Type application/problem+json
			header X-Request-Id {http.request.header.X-Request-Id}
			respond \`${body}\` 502
		}
	}`;
}
