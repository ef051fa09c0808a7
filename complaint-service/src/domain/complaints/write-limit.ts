/**
 * One user files and edits at most this many complaints within a minute. Each may cost hundreds of rows of the search.
 */
export const maxWrites = 60;
export const writeWindowMs = 60_000;
