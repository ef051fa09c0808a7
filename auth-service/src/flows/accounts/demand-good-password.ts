import { passwordProblem } from '../../domain/accounts/password-policy.ts';
import { AppError } from '../../errors.ts';

/**
 * Throws unless the password meets the policy.
 *
 * @param field Its path in the request.
 * @throws AppError `validation_failed` with the reason; it never contains the password.
 */
export function demandGoodPassword(password: string, email: string, field = 'password'): void {
  const message = passwordProblem(password, email);
  if (message !== undefined) throw new AppError('validation_failed', { errors: [{ path: field, message }] });
}
