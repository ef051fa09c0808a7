export type { GatewayConfig } from './config/config.ts';
export { loadConfig } from './config/load.ts';
export { countersignGateway, type GatewayMiddleware, type GatewayMiddlewareOptions } from './middleware.ts';
