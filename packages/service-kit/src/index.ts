export {
  AppError,
  type CommonCode,
  commonErrors,
  type ErrorEntry,
  type ErrorOptions,
  type ErrorTable,
  type Fault,
  type FieldError,
} from './errors.ts';
export { describeCaller } from './gateway/describe-caller.ts';
export { type BehindGateway, serveBehindGateway } from './gateway/serve-behind-gateway.ts';
export { callerConfig, demandPrivateKeyFile, gatewayInternalUrl } from './gateway/service-key.ts';
export { type GatewayTrust, type TrustOptions, trustGateway } from './gateway/trust-gateway.ts';
export { demandMatch, entityTag, preconditionErrors } from './http/entity-tag.ts';
export { jsonBody } from './http/json-body.ts';
export { type CursorReader, pageFields, pageOf } from './http/page.ts';
export { type Answer, answerOf, type Problem, problemMediaType, problemOf } from './http/problem.ts';
export { addToLog, requestIdOf, requestLog } from './http/request-log.ts';
export { notFound, respondWithProblem } from './http/respond.ts';
export { createRouter, createServiceApp, healthRoutes, type ServiceParts } from './http/service-app.ts';
export { createServiceServer } from './http/service-server.ts';
export { lineField, textField } from './http/text-field.ts';
export { answerWithin } from './process/answer-within.ts';
export { closeListening } from './process/close-listening.ts';
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
export {
  drainServer,
  explain,
  listen,
  type Running,
  runProcess,
  StartupError,
  type Stop,
  stopRequested,
} from './process/lifecycle.ts';
export { createLogger, type Logger } from './process/logger.ts';
export { createMetrics, type Registry, requestMetrics, serveMetrics } from './process/metrics.ts';
export { connectRedis } from './process/redis.ts';
export { createFile, replaceFile } from './process/write-file.ts';
