export { answerWithin } from './answer-within.ts';
export { closeListening } from './close-listening.ts';
export {
  ConfigError,
  commonConfig,
  type Environment,
  gatewayKeysUrl,
  milliseconds,
  port,
  readConfig,
  wholeNumber,
} from './config.ts';
export { describeCaller } from './describe-caller.ts';
export { demandMatch, entityTag, preconditionErrors } from './entity-tag.ts';
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
export { createHealth, type Health, type HealthCheck } from './health.ts';
export { jsonBody } from './json-body.ts';
export {
  drainServer,
  explain,
  listen,
  type Running,
  runProcess,
  StartupError,
  type Stop,
  stopRequested,
} from './lifecycle.ts';
export { createLogger, type Logger } from './logger.ts';
export { createMetrics, type Registry, requestMetrics, serveMetrics } from './metrics.ts';
export { type CursorReader, pageFields, pageOf } from './page.ts';
export { type Answer, answerOf, type Problem, problemMediaType, problemOf } from './problem.ts';
export { connectRedis } from './redis.ts';
export { addToLog, requestIdOf, requestLog } from './request-log.ts';
export { notFound, respondWithProblem } from './respond.ts';
export { type BehindGateway, serveBehindGateway } from './serve-behind-gateway.ts';
export { createRouter, createServiceApp, healthRoutes, type ServiceParts } from './service-app.ts';
export { callerConfig, demandPrivateKeyFile, gatewayInternalUrl } from './service-key.ts';
export { createServiceServer } from './service-server.ts';
export { lineField, textField } from './text-field.ts';
export { type GatewayTrust, type TrustOptions, trustGateway } from './trust-gateway.ts';
export { createFile, replaceFile } from './write-file.ts';
