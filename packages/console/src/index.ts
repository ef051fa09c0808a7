// The admin API: its paths, its JSON and how to merge the JSON of several processes. And the pages that show it.

export type { Certificate } from './resources/certificates.ts';
export { type Answer, explainEndpoint, type Identity, type TokenReport } from './resources/explanation.ts';
export type { Issuer } from './resources/issuers.ts';
export type { LimitedCaller } from './resources/limits.ts';
export type { Reload, RouteChange } from './resources/reloads.ts';
export type { Request } from './resources/request.ts';
export type { outcomes } from './resources/requests.ts';
export type { Lag, Revocations } from './resources/revocations.ts';
export { type Route, routesPerPage } from './resources/routes.ts';
export { type Durations, failureKinds, responseClasses, summarized, type Traffic } from './resources/traffic.ts';
export { failingState, type Upstream, upstreamLatency, upstreamState } from './resources/upstreams.ts';
export type { Event } from './resources/workers.ts';
export { type AdminApi, type ConsoleOptions, consoleRoutes } from './routes.ts';
export { type Counted, type Since, sum } from './schema/merge.ts';
export { TimeSlots } from './schema/time-slots.ts';
export type { Query, ViewOf } from './schema/view.ts';
export { type Answers, mergeAnswers, type ViewPath, views } from './views.ts';
