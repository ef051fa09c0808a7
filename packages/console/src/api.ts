import type { Answer, Answers } from '@countersign/admin-api';

/** Names and values of a path and a query. An empty value counts as absent. */
export type Query = Readonly<Record<string, string | undefined>>;

/** The admin API of the gateway, without HTTP. It throws the AppErrors that it would answer with. */
export type AdminApi = Readonly<{
  /** @param query Has the names of the path too. Names that the API does not know are ignored. */
  read<Path extends keyof Answers>(path: Path, query?: Query): Promise<Answers[Path]>;
  /** @param question As a form has it. */
  explain(question: Query): Promise<Answer>;
}>;
