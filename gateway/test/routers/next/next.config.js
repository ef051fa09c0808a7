// Otherwise Next.js takes the repository for the project, and gateway/src/middleware.ts for its middleware.
export default { turbopack: { root: import.meta.dirname } };
