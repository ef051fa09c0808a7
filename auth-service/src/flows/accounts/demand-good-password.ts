import { passwordProblem } from '../../domain/accounts/password-policy.ts';
import { AppError } from '../../errors.ts';

/**
 * Lets through what may become a password.
 *
 * @param field Where it stands in the request.
 * @throws AppError `validation_failed` that says what is wrong with it; never the password.
 */
export function demandGoodPassword(password: string, email: string, field = 'password'): void {
  const message = passwordProblem(password, email);
  if (message !== undefined) throw new AppError('validation_failed', { errors: [{ path: field, message }] });
}
