export {
  ConfigError,
  commonConfig,
  type Environment,
  gatewayKeysUrl,
  milliseconds,
  port,
  readConfig,
} from './config.ts';
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
export { drainServer, explain, listen, type Running, runProcess, StartupError } from './lifecycle.ts';
export { createLogger, type Logger } from './logger.ts';
export { createMetrics, type Registry, requestMetrics, serveMetrics } from './metrics.ts';
export { type Answer, answerOf, type Problem, problemMediaType, problemOf } from './problem.ts';
export { connectRedis } from './redis.ts';
export { addToLog, requestIdOf, requestLog } from './request-log.ts';
export { notFound, respondWithProblem } from './respond.ts';
export { createRouter, createServiceApp, healthRoutes, type ServiceParts } from './service-app.ts';
export { type GatewayTrust, type TrustOptions, trustGateway } from './trust-gateway.ts';
