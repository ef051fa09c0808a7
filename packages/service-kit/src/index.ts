export { apiPageRoutes, descriptionRoutes } from './api/api-page.ts';
export { type Call, type Endpoint, ignoresUnknown, type ResponseSpec, type Route, routesWith } from './api/endpoint.ts';
export { jsonOf } from './api/json-of.ts';
export { type MergeOptions, mergeApis } from './api/merge.ts';
export { mountRoutes } from './api/mount-routes.ts';
export { type Api, describeApi } from './api/openapi.ts';
export { errorBodyOf, errorCodesOf, type ProblemMembers } from './api/problems.ts';
export {
  AppError,
  caller,
  capacity,
  commonErrors,
  type ErrorTable,
  entry,
  type Fault,
  type FieldError,
  ours,
} from './errors.ts';
export { assertPrivateKeyFile, callerConfig, gatewayInternalUrl } from './gateway/caller-config.ts';
export { type BehindGateway, type BehindGatewayParts, startBehindGateway } from './gateway/start-behind-gateway.ts';
export { tracedCaller } from './gateway/traced-caller.ts';
export { trustGateway } from './gateway/trust-gateway.ts';
export { type Content, formValue, type Html, html } from './html/html.ts';
export { pageAssets } from './html/page-assets.ts';
export { formBody, idField, jsonBody, lineField, parseForm, parseJson, roleField, textField } from './http/body.ts';
export {
  type AddressClass,
  classifyAddress,
  expandIPv6,
  isLoopback,
  isLoopbackHost,
  isPlainHttp,
  lastIPv4,
  plainAddress,
} from './http/classify-address.ts';
export {
  assertIfMatch,
  entityTag,
  etagHeader,
  ifMatchField,
  ifNoneMatchField,
  preconditionErrors,
} from './http/entity-tag.ts';
export { assertFreshLogin } from './http/fresh-login.ts';
export { destroyLater, discardBody, respondOnSocket } from './http/lingering-close.ts';
export { drainServer, listen } from './http/listening.ts';
export { paginate, paginationFields, wholeNumberField } from './http/pagination.ts';
export {
  type Answer,
  answerOf,
  type FormatError,
  notFound,
  problemMediaType,
  problemOf,
  problemSchema,
  respondWithProblem,
  toAppError,
} from './http/problem.ts';
export { readerTenantOf } from './http/reader-tenant.ts';
export { addToLog, describeCaller, requestIdOf, requestLog } from './http/request-log.ts';
export {
  allowOnly,
  createRouter,
  createServiceApp,
  healthRoutes,
  notStored,
  type ServiceParts,
} from './http/service-app.ts';
export { createServiceServer } from './http/service-server.ts';
export { type CloseCode, closeFrame, FrameCursor } from './http/websocket-frames.ts';
export { type BackgroundLoop, type BackgroundLoopOptions, startBackgroundLoop } from './process/background-loop.ts';
export {
  ConfigError,
  commonConfig,
  type Environment,
  gatewayKeysUrl,
  milliseconds,
  port,
  readConfig,
  wholeNumber,
} from './process/config.ts';
export { createHealth, type Health, type HealthCheck } from './process/health.ts';
export { describeStartError, type Running, runProcess, StartupError, stopRequested } from './process/lifecycle.ts';
export { logText, printable } from './process/log-text.ts';
export { createLineWriter, createLogger, type Logger, standardOutput } from './process/logger.ts';
export { createMetrics, type MetricsSource, quantileOf, type Registry } from './process/metrics.ts';
export { createOutageLog, type OutageLog } from './process/outage-log.ts';
export { type OutboxDepth, outboxMetrics } from './process/outbox-metrics.ts';
export { type Metric, ProcessCounts } from './process/process-counts.ts';
export { readSeedFile } from './process/read-seed.ts';
export { connectRedis } from './process/redis.ts';
export { createReloader, type Reloading } from './process/reloader.ts';
export { type MetricRow, registerScraped, type ScrapedMetric } from './process/scraped-metric.ts';
export { withTimeout } from './process/with-timeout.ts';
export { createFile, replaceFile } from './process/write-file.ts';
