export { assertDescribed } from './assert-described.ts';
export { describeStart, type StartSubject } from './describe-start.ts';
export { describeTrust, type TrustSubject } from './describe-trust.ts';
export { servedRoutes } from './served-routes.ts';
export { type CallOptions, type ServiceWorld, serviceWorld, type WorldOptions } from './service-world.ts';
