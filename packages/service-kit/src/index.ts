export { apiPageRoutes, descriptionRoutes } from './api/api-page.ts';
export { type Call, type Endpoint, ignoresUnknown, type ResponseSpec, type Route, routesWith } from './api/endpoint.ts';
export { jsonOf } from './api/json-of.ts';
export { namedObject } from './api/json-schema.ts';
export { type MergeOptions, mergeApis } from './api/merge.ts';
export { mountRoutes } from './api/mount-routes.ts';
export { type Api, describeApi } from './api/openapi.ts';
export { errorBodyOf, errorCodesOf, type ProblemMembers } from './api/problems.ts';
export { commonConfig } from './gateway/common-config.ts';
export { assertPrivateKeyFile, callerConfig, gatewayInternalUrl, tracedCaller } from './gateway/nested-calls.ts';
export { type BehindGateway, type BehindGatewayParts, startBehindGateway } from './gateway/start-behind-gateway.ts';
export { trustGateway } from './gateway/trust-gateway.ts';
export { type Content, formValue, Html, html } from './html/html.ts';
export { pageAssets } from './html/page-assets.ts';
export { assertFreshLogin, isFreshLogin, readerTenantOf } from './http/caller-checks.ts';
export { describeCaller } from './http/caller-log.ts';
export {
  assertIfMatch,
  entityTag,
  etagHeader,
  ifMatchField,
  ifNoneMatchField,
  preconditionErrors,
} from './http/entity-tag.ts';
export { idField, lineField, roleField, textField } from './http/fields.ts';
export { refuseCrossSite, requireOwnHost } from './http/local-pages.ts';
export { paginate, paginationFields, wholeNumberField } from './http/pagination.ts';
export {
  createServiceApp,
  type ServiceParts,
} from './http/service-app.ts';
export { readSeedFile } from './read-seed.ts';
