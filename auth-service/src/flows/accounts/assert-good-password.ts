import { passwordWeakness, passwordWeaknesses } from '../../domain/accounts/password-policy.ts';
import { AppError } from '../../errors.ts';

/**
 * @param field The password's path in the request.
 * @throws AppError `validation_failed` if the password violates the policy, with the reason in `errors` and
 *   `detail.weakness`. Neither contains the password.
 */
export function assertGoodPassword(password: string, email: string, field = 'password'): void {
  const weakness = passwordWeakness(password, email);
  if (weakness === undefined) return;
  const errors = [{ path: field, message: passwordWeaknesses[weakness] }];
  throw new AppError('validation_failed', { errors, detail: { weakness } });
}
