export type { AdminApi } from './api.ts';
export { type ConsoleOptions, consoleRoutes } from './routes.ts';
