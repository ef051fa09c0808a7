export type { AskApi } from './api.ts';
export { type ConsoleOptions, consoleRoutes } from './routes.ts';
