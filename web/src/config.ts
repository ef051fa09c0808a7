import { queryOptions, useQuery } from '@tanstack/react-query';

/** The installation's settings, from the server that serves these files. */
export type Config = Readonly<{
  /** The URL of the operators' console. Undefined if users have no access to it. */
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
