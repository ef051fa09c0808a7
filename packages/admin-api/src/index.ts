// The admin API: the JSON in its responses, and how to merge the responses of several processes.

export type { Certificate } from './certificates.ts';
export { type AdminApi, type Answers, explainEndpoint, type Query, type View, views } from './endpoints.ts';
export { type Answer, explainAnswer, type Identity, type TokenReport } from './explain.ts';
export { type LimitedCaller, limitedFirst } from './limits.ts';
export { latest, merge, mostFirst, newestFirst, sum } from './merge.ts';
export { type Event, maxEvents, type Reload, type RouteChange } from './processes.ts';
export { maxRequests, outcomes, type Request } from './requests.ts';
export { maxRefusals, type Refusal, type Route, routesPerPage } from './routes.ts';
export { TimeSlots } from './time-slots.ts';
export { type Durations, failureKinds, mapped, responseClasses, summarized, type Traffic } from './traffic.ts';
export type { Issuer, Lag, Revocations } from './trust.ts';
export { type Failing, failingState, type Upstream, upstreamLatency, upstreamState } from './upstreams.ts';
export type { Counted, Since } from './values.ts';
