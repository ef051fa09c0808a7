export { type CapturingLogger, capturingLogger, silentLogger } from './capturing-logger.ts';
export { type CertificateAndKey, type TestAuthority, testAuthority } from './certificates.ts';
export { type TestClock, testClock } from './clock.ts';
export {
  databases,
  dropDatabases,
  runAsSuperuser,
  type TestDatabase,
  type ThrowAway,
  tablesWithoutForcedRowSecurity,
} from './databases.ts';
export { eventually } from './eventually.ts';
export { freePorts } from './free-ports.ts';
export { installTools } from './install-tools.ts';
export { isInstalled } from './is-installed.ts';
export { type IssuerOptions, mintIssuer, type TestIssuer } from './mint-issuer.ts';
export { asUser, type Person, people, tenants } from './people.ts';
export { rawRequest } from './raw-request.ts';
export { redisServers, type ThrowAwayRedis, throwAwayRedis } from './redis-servers.ts';
export {
  type RecordedRequest,
  type RecordingUpstream,
  recordingUpstream,
  type UpstreamOptions,
} from './servers/recording-upstream.ts';
export { type ReceivedMail, type SmtpSink, smtpSink } from './servers/smtp-sink.ts';
export { type ReceivedSpan, type SpanReceiver, spanReceiver } from './servers/span-receiver.ts';
export { type ProcessOptions, type StartedProcess, startProcess } from './start-process.ts';
export { type TestGateway, testGateway, type Unsigned } from './test-gateway.ts';
