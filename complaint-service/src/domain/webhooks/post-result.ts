/** Why an attempt got no status. Stable codes for the delivery log, which the tenant's admins read. */
export type PostFailure = 'address_refused' | 'timeout' | 'connection_failed' | 'tls_failed' | 'bad_answer';

export type PostResult = Readonly<{ status: number } | { failure: PostFailure }>;
