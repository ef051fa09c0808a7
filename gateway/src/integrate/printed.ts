/** The files that a proxy needs, by name. */
export type Printed = Readonly<Record<string, Readonly<{ text: string; mode: number }>>>;
