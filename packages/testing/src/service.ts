export { assertDescribed } from './assert-described.ts';
export { describeStart, type StartFacts } from './describe-start.ts';
export { describeTrust, type TrustFacts } from './describe-trust.ts';
export { servedRoutes } from './served-routes.ts';
export { type CallOptions, type ServiceWorld, serviceWorld, type WorldOptions } from './service-world.ts';
