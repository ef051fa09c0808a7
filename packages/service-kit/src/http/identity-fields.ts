import { idPattern, rolePattern } from '@countersign/identity';
import { z } from 'zod';

/** The id of a user, tenant, service or session, as the identity contract allows it. */
export const idField = z.string().regex(idPattern, 'is not a valid id');

/** The name of a role, as the identity contract allows it. */
export const roleField = z.string().regex(rolePattern, 'must be the name of a role');
