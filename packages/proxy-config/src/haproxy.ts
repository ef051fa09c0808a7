import { identityPrefixes, proxyHeaders } from '@countersign/identity';
import { headersOfCall } from './dialect.ts';
import { headersOfResponse, removedFromRequest, removedFromResponse, withoutFamilies } from './headers.ts';
import type { Printed, ProxyPlan, Service } from './plan.ts';
import * as plans from './plan.ts';

/** How much of HAProxy's buffer is reserved for the request head. */
const headBytes = 32 * 1024;

/**
 * Writes a haproxy.cfg, and the Lua action that asks the gateway with HAProxy's HTTP client. A countersign.cfg has the
 * same without a frontend: HAProxy has no include, but it reads several files, and a frontend can take its rules from
 * a named `defaults`.
 */
export function printHaproxy(plan: ProxyPlan): Printed {
  const part = partText(plan);
  return {
    'haproxy.cfg': {
      text: `# Written by \`countersign integrate haproxy\` from gateway.yaml. Run it: haproxy -f haproxy.cfg
# Needs HAProxy 3.0 or later. To use your own haproxy.cfg, load countersign.cfg before it:
# https://github.com/countersign/countersign/blob/main/docs/behind-a-proxy.md
${part}
frontend public from countersign-frontend
  bind ${plan.listen}
  use_backend %[var(txn.countersign_audience)] if { var(txn.countersign_audience) -m found }
  default_backend countersign-public
  http-error status 503 content-type application/problem+json string ${JSON.stringify(plans.problemText(plan, 'unavailable'))}
`,
      mode: 0o644,
    },
    'countersign.cfg': {
      text: `# Written by \`countersign integrate haproxy\` from gateway.yaml. Run: haproxy -f countersign.cfg -f YOUR.cfg
# Needs HAProxy 3.0 or later.
${part}`,
      mode: 0o644,
    },
    'countersign.lua': { text: luaText(plan), mode: 0o600 },
  };
}

const partText = (plan: ProxyPlan): string => `global
  # A signed body must fit into one buffer, together with its request head.
  tune.bufsize ${plans.maxDigested(plan) + headBytes}
  # Finds the Lua file beside this one, and leaves the paths of other files as they are.
  default-path config
  lua-load countersign.lua
  default-path current
  # Asks the gateway only once per request, because limits and proofs count every call.
  httpclient.retries 0
  httpclient.timeout.connect 2s

${certificateStore(plan)}defaults countersign-frontend
  mode http
  timeout http-request 15s
  timeout http-keep-alive 60s
  timeout client 60s
  option http-buffer-request
  # What your own frontend serves without a decision, by a \`tcp-request content set-var\`.
  acl own var(txn.countersign_skip) -m found
  # Preflight and OAuth metadata requests carry no identity. The gateway's public listener answers them.
  acl public path /.well-known/oauth-protected-resource
  acl public path_beg /.well-known/oauth-protected-resource/
  acl preflight method OPTIONS
  acl preflight_header req.hdr(access-control-request-method) -m found
${deleted(plan)
  .map((line) => `  http-request del-header ${line}`)
  .join('\n')}
  http-request set-header x-forwarded-for %[src] if public or preflight preflight_header
  http-request del-header traceparent if public or preflight preflight_header
  http-request del-header upgrade unless own
  http-request del-header http2-settings
  http-request lua.countersign unless own or public or preflight preflight_header
  http-request set-header connection upgrade if { var(txn.countersign_upgrade) -m found }
  http-request set-header upgrade %[var(txn.countersign_upgrade)] if { var(txn.countersign_upgrade) -m found }
  http-request set-uri %[var(txn.countersign_target)] if { var(txn.countersign_target) -m found }
  # Without Authorization, an HAProxy cache would store one caller's response.
  http-request set-header cache-control no-store if { var(txn.countersign_audience) -m found }
  http-request deny deny_status 503 unless { var(txn.countersign_audience) -m found } or own or public or preflight preflight_header

defaults countersign-backend
  mode http
  # Never retries: a repeated request carries a used nonce, so the service would refuse it.
  retries 0
  timeout connect 2s
  timeout server 30s
  timeout tunnel 1h

backend countersign-public
  http-error status 503 content-type application/problem+json string ${JSON.stringify(plans.problemText(plan, 'unavailable'))}
  server gateway ${plan.public.host}:${plan.public.port}${plan.public.isTls ? ' ssl verify required ca-file @system-ca' : ''}

${plans
  .servicesOf(plan)
  .map((service) => backend(service, plan))
  .join('\n\n')}
`;

/** Declares the certificate and key for a service. They are two files, which only a store can name. */
function certificateStore(plan: ProxyPlan): string {
  const lines = plans
    .servicesOf(plan)
    .flatMap(({ name, tls }) =>
      tls?.certFile === undefined ? [] : [`  load crt ${tls.certFile} key ${tls.keyFile} alias ${name}`],
    );
  return lines.length === 0 ? '' : `crt-store services\n${lines.join('\n')}\n\n`;
}

const anySpelling = (name: string): string => name.replaceAll('-', '[^a-z0-9]');

/** One pattern for several names, because HAProxy compares every header with every pattern. `*` matches any suffix. */
const anyOf = (names: readonly string[]): string =>
  `^(${names.map((name) => anySpelling(name.endsWith('*') ? name.slice(0, -1) : `${name}$`)).join('|')}) -m reg`;

const identityNames = anyOf(identityPrefixes.map((prefix) => `${prefix}*`));

/** HAProxy can remove headers by pattern, so this covers every spelling of an identity header. */
function deleted(plan: ProxyPlan): readonly string[] {
  const tokens = plans.tokenHeadersOf(plans.servicesOf(plan));
  return [
    identityNames,
    ...(tokens.length === 0 ? [] : [anyOf(tokens)]),
    ...Object.values(proxyHeaders).map((names) => anyOf(names.filter((name) => name !== 'x-forwarded*'))),
    // Keeps `X-Forwarded-For` itself, because it contains the trusted proxies through which the client came.
    '^x[^a-z0-9]forwarded[^a-z0-9]([^f]|f[^o]|fo[^r]|for.) -m reg',
    '^x[^a-z0-9]forwarded[._]for$ -m reg',
    '^x[._]forwarded[^a-z0-9]for$ -m reg',
    ...[...new Set([...removedFromRequest(plan), ...headersOfCall])].filter(
      (name) => !identityPrefixes.some((prefix) => name.startsWith(prefix)),
    ),
  ];
}

function backend(service: Service, plan: ProxyPlan): string {
  const { name, targets, timeouts, tls } = service;
  const servers = targets.map((target, at) => {
    const { hostname, port, protocol } = new URL(target);
    const ssl =
      protocol === 'https:'
        ? ` ssl verify required sni str(${tls?.serverName ?? hostname}) verifyhost ${tls?.serverName ?? hostname} ca-file ${tls?.caFile ?? '@system-ca'}${tls?.certFile === undefined ? '' : ` crt @services/${name}`}`
        : '';
    return `  server ${name}-${at + 1} ${hostname}:${port || (protocol === 'https:' ? 443 : 80)}${ssl}`;
  });
  const problem = plans
    .problemText(plan, 'identity_refused', '%[var(txn.countersign_x_request_id)]')
    .replaceAll('"', '\\"');
  return [
    `backend ${name}`,
    `  timeout connect ${timeouts.connectMs}ms`,
    `  timeout server ${Math.max(timeouts.responseMs, timeouts.idleMs)}ms`,
    // If a service refuses the signature, the deployment is at fault, never the client's token.
    `  http-response return status 502 content-type application/problem+json hdr x-request-id %[var(txn.countersign_x_request_id)] lf-string "${problem}" if { status 401 }${plans.refusesTokens(service) ? '' : ' { res.hdr(x-identity-refused) -m found }'}`,
    ...[identityNames, ...Object.values(proxyHeaders).map(anyOf)].map((names) => `  http-response del-header ${names}`),
    ...withoutFamilies(removedFromResponse(plan, service)).map((header) => `  http-response del-header ${header}`),
    `  http-response set-header x-request-id %[var(txn.countersign_x_request_id)]`,
    ...headersOfResponse.map((header) => {
      const variable = `var(txn.countersign_${header.replaceAll('-', '_')})`;
      // The service may have its own reasons to set Vary.
      const how = header === 'vary' ? 'add-header' : 'set-header';
      return `  http-response ${how} ${header} %[${variable}] if { ${variable} -m found }`;
    }),
    ...servers,
  ].join('\n');
}

function luaText(plan: ProxyPlan): string {
  const { decision, secret } = plan;
  // HAProxy's client can send any URL to a socket.
  const [url, destination] =
    'socket' in decision
      ? [`http://gateway${plans.decidePath}`, `unix@${decision.socket}`]
      : [`${plans.urlOf(decision)}${plans.decidePath}`, ''];
  const list = (names: readonly string[]) => names.map((name) => `["${name}"]=true`).join(', ');
  return `-- Written by \`countersign integrate haproxy\` from gateway.yaml. It asks the gateway about a request.
local url = ${JSON.stringify(url)}
local destination = ${JSON.stringify(destination)}
local secret = ${JSON.stringify(secret ?? '')}
-- Headers of the client's connection. HAProxy sets its own for the call.
local not_asked = { ${list(['host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'upgrade', 'te', 'keep-alive'])} }
-- Headers that the decision sets on the request to the service. The others are removed.
local of_request = { ${plans
    .setOnRequest(plan)
    .map((name) => `"${name}"`)
    .join(', ')} }
-- Headers that the decision sets on the response to the client.
local of_response = { ${headersOfResponse.map((name) => `"${name}"`).join(', ')}, "x-request-id" }
-- Each service, and the header without which a decision for it is not complete.
local services = { ${plans
    .servicesOf(plan)
    .map((service) => `["${service.name}"]="${plans.proofFor(service)}"`)
    .join(', ')} }
local not_answered = { ${list(['connection', 'content-length', 'transfer-encoding', 'keep-alive', 'date'])} }

local function first(headers, name)
  return headers[name] and headers[name][0]
end

local function refuse(txn, status, body, headers)
  local reply = txn:reply({ status = status, body = body })
  for name, values in pairs(headers) do
    if not not_answered[name] then
      for _, value in pairs(values) do reply:add_header(name, value) end
    end
  end
  txn:done(reply)
end

local function unavailable(txn)
  local headers = { ["content-type"] = { "application/problem+json" }, ["cache-control"] = { "no-store" } }
  return refuse(txn, 503, ${JSON.stringify(plans.problemText(plan, 'unavailable'))}, headers)
end

core.register_action("countersign", { "http-req" }, function(txn)
  local call = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not not_asked[name] then
      call[name] = {}
      for at = 0, #values do call[name][at + 1] = values[at] end
    end
  end
  local length, size = tonumber(txn.f:req_body_len()) or 0, tonumber(txn.f:req_body_size()) or 0
  if length < size then return refuse(txn, 413, "", {}) end
  local body = length > 0 and txn.f:req_body() or nil
  call["host"] = { txn.sf:req_hdr("host") }
  call["x-countersign-proxy-secret"] = { secret }
  call["x-countersign-method"] = { txn.sf:method() }
  -- Over HTTP/2 the URL is always absolute. In HTTP/1.1 an absolute URL is refused.
  call["x-countersign-target"] = { txn.f:fc_http_major() == 2 and txn.sf:pathq() or txn.sf:url() }
  call["x-countersign-scheme"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
  call["x-countersign-address"] = { txn.sf:src() }
  local request = { url = url, headers = call, body = body, timeout = 5000 }
  if destination ~= "" then request.dst = destination end
  local client = core.httpclient()
  local answer = body and client:post(request) or client:get(request)
  -- HAProxy's client makes a 503 of a failed call. Each answer of the gateway has a request id.
  if not answer or (answer.status >= 500 and not first(answer.headers, "x-request-id")) then return unavailable(txn) end
  if answer.status ~= 200 then return refuse(txn, answer.status, answer.body, answer.headers) end
  local service = first(answer.headers, "x-countersign-service")
  local proof = services[service]
  local target = first(answer.headers, "x-countersign-target")
  if not proof or not target or not first(answer.headers, proof) then return unavailable(txn) end
  for _, name in ipairs(of_request) do
    txn.http:req_del_header(name)
    local value = first(answer.headers, name)
    if value then txn.http:req_set_header(name, value) end
  end
  for _, name in ipairs(of_response) do
    local value = first(answer.headers, name)
    if value then txn:set_var("txn.countersign_" .. string.gsub(name, "-", "_"), value) end
  end
  txn:set_var("txn.countersign_target", target)
  txn:set_var("txn.countersign_audience", service)
  local upgrade = first(answer.headers, "x-countersign-upgrade")
  if upgrade then txn:set_var("txn.countersign_upgrade", upgrade) end
end)
`;
}
