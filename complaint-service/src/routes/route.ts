import { routesWith } from '@countersign/service-kit';
import type { Code } from '../errors.ts';
import type { FlowParts } from '../flows/parts.ts';

export const route = routesWith<Code, FlowParts>();
