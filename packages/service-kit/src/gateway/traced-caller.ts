import { type CallService, type ServiceCallerOptions, serviceCaller } from '@countersign/identity';
import { inClientSpan, traceHeaders } from '@countersign/tracing';

/** Creates a `callService()` like {@link serviceCaller} whose calls are spans of the request that makes them. */
export function tracedCaller(options: Omit<ServiceCallerOptions, 'headers'>): CallService {
  const callService = serviceCaller({ ...options, headers: traceHeaders });
  return (call) => inClientSpan(call.method, options.gatewayUrl, () => callService(call));
}
