// The package `countersign` as a library: read a configuration, and run a gateway inside your own process.

export { ConfigError, createLogger, type Logger, type Running, StartupError } from '@countersign/process-kit';
export type { GatewayConfig } from './config/config.ts';
export { loadConfig } from './config/load.ts';
export { countersignGateway, type GatewayMiddleware, type GatewayMiddlewareOptions } from './middleware.ts';
export { type GatewayDeps, type RunningGateway, startGateway } from './start-gateway.ts';
