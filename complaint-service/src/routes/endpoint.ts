import { endpointsWith } from '@countersign/service-kit';
import type { Code } from '../errors.ts';

/** Declares a route of this service. */
export const endpoint = endpointsWith<Code>();
