/** An identity as the vectors write it: the same members, in snake_case. */
export const identityJson = (value) => {
  if (Array.isArray(value) || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, inner]) => [snakeCase(name), identityJson(inner)]);
  return Object.fromEntries(members);
};

const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const everyKind = ['user', 'client', 'service', 'anonymous', 'gateway'];
