/** What a parser read from the bytes of one connection, up to the end of the first final response. */
export type Reading = {
  /** Of the final response; undefined if no whole head was read. */
  status: number | undefined;
  /** Names and values in turn. */
  fields: readonly string[];
  body: string;
  trailers: readonly string[];
  /** Whether the response is complete. Otherwise the parser refused it, or the connection ended too early. */
  isComplete: boolean;
  mayReuse: boolean;
};

/** The bytes in the pieces in which they arrive, and the method of the request. */
export type Wire = Readonly<{ method: string; pieces: readonly Buffer[] }>;

export const nothingRead = (): Reading => ({
  status: undefined,
  fields: [],
  body: '',
  trailers: [],
  isComplete: false,
  mayReuse: false,
});
