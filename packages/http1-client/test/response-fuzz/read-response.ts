/** What a parser read from one connection, up to the end of the first final response. */
export type Reading = {
  /** The final response's status. Undefined if no whole head was read. */
  status: number | undefined;
  /** Alternating names and values. */
  fields: readonly string[];
  body: string;
  trailers: readonly string[];
  /** Whether the response is complete. If not, the parser refused it, or the connection ended too early. */
  isComplete: boolean;
  mayReuse: boolean;
};

/** The bytes, in the pieces in which they arrive, and the request's method. */
export type Wire = Readonly<{ method: string; pieces: readonly Buffer[] }>;

export const nothingRead = (): Reading => ({
  status: undefined,
  fields: [],
  body: '',
  trailers: [],
  isComplete: false,
  mayReuse: false,
});
