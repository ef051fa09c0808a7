export {
  createProofVerifier,
  type DpopProof,
  ProofError,
  type ProvenRequest,
  proofAlgorithms,
  proofLifetimeSec,
  visibleText,
} from './dpop-proof.ts';
export { MalformedJwt, parseJwt, parseStrictObject, type UnverifiedJwt } from './parse-jwt.ts';
export { verifyJws } from './verify-jws.ts';
