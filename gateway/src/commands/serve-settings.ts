import { commonConfig, type Environment, readConfig } from '@countersign/service-kit';
import { z } from 'zod';

const environment = z.object({
  LOG_LEVEL: commonConfig.LOG_LEVEL,
  DRAIN_DELAY_MS: commonConfig.DRAIN_DELAY_MS,
  SHUTDOWN_GRACE_MS: commonConfig.SHUTDOWN_GRACE_MS,
});

/**
 * What `serve` takes from the environment besides the variables that its file names.
 *
 * @throws ConfigError naming every variable that is wrong.
 */
export const readServeSettings = (env: Environment) => readConfig(environment, env);
