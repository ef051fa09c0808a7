import { queryOptions, useQuery } from '@tanstack/react-query';

/** What the server of these files says about the installation. */
export type Config = Readonly<{
  /** The address of the operators' console. Undefined where users have nothing to do with it. */
  console?: string;
}>;

const configQuery = queryOptions({
  queryKey: ['config'],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }): Promise<Config> => {
    const response = await fetch('/app/config.json', { signal });
    return response.ok ? response.json() : {};
  },
});

export const useConfig = (): Config => useQuery(configQuery).data ?? {};
