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
export { formBody, jsonBody, parseForm, parseJson } from './http/body.ts';
export { docsPage } from './http/docs-page.ts';
export {
  type AddressClass,
  addressKey,
  classifyAddress,
  isLoopback,
  isLoopbackHost,
  isPlainHttp,
  plainAddress,
  widerKey,
} from './http/ip-address.ts';
export { destroyLater, discardBody, respondOnSocket } from './http/lingering-close.ts';
export { drainServer, listen } from './http/listening.ts';
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
export { addToLog, type RequestLocals, requestIdOf, requestLog } from './http/request-log.ts';
export { allowOnly, createRouter, healthRoutes, notStored } from './http/router.ts';
export { createServiceServer } from './http/service-server.ts';
export { type CloseCode, closeFrame, FrameCursor } from './http/websocket-frames.ts';
export { type BackgroundLoop, startBackgroundLoop } from './process/background-loop.ts';
export {
  ConfigError,
  type Environment,
  flag,
  milliseconds,
  originList,
  port,
  privateKey,
  processConfig,
  readConfig,
  wholeNumber,
} from './process/config.ts';
export { createHealth, type Health, type HealthCheck } from './process/health.ts';
export { describeStartError, type Running, runProcess, StartupError, stopRequested } from './process/lifecycle.ts';
export { logText, printable } from './process/log-text.ts';
export { createLineWriter, createLogger, type Logger, standardOutput } from './process/logger.ts';
export {
  createMetrics,
  type MetricsSource,
  quantileOf,
  type Registry,
  requestMetrics,
  routeOf,
} from './process/metrics.ts';
export { createOutageLog, type OutageLog } from './process/outage-log.ts';
export { type OutboxDepth, outboxMetrics } from './process/outbox-metrics.ts';
export { type Metric, ProcessCounts } from './process/process-counts.ts';
export { connectRedis } from './process/redis.ts';
export { createReloader, type Reloading } from './process/reloader.ts';
export { type MetricRow, registerScraped, type ScrapedMetric } from './process/scraped-metric.ts';
export { whyUnreadable } from './process/why-unreadable.ts';
export { withTimeout } from './process/with-timeout.ts';
export { createFile, replaceFile } from './process/write-file.ts';
export { type Turn, TurnQueue } from './queue/turn-queue.ts';
export { Turns } from './queue/turns.ts';
