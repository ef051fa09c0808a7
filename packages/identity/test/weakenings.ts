/** A verifier that someone could write by mistake: its name, and the replacements in our own source files. */
export type Weakening = readonly [name: string, ...changes: (readonly [file: string, from: string, to: string])[]];

const grammar = 'contract/grammar.ts';
const verify = 'verify/verify.ts';
const memory = 'replay/replay-memory.ts';
const importJwk = '../../jwks/src/import-jwk.ts';
const nested = 'nested/service-signature.ts';

const inFile = (file: string, name: string, from: string, ...to: string[]): Weakening[] =>
  to.map((text, index) => [to.length === 1 ? name : `${name} (${index + 1})`, [file, from, text]]);
const macs = 'signature.byteLength === expected.byteLength && timingSafeEqual(expected, signature)';
const nonceKey = '`$' + '{claim.audience} $' + '{claim.nonce}`';
const claim = 'await claimNonce(replay, audience, signature.input, { nowSec: nowSec(), rules, isRead });';
const isPath = 'path.test(value)';
const isQuery = 'query.test(value)';

/** Each decides some request differently from the contract, and none may pass every vector. */
export const weakenings: readonly Weakening[] = [
  // Signatures.
  ...inFile(
    'contract/rfc9421.ts',
    'a part of the MAC is compared',
    macs,
    'timingSafeEqual(expected.subarray(0, 16), signature.subarray(0, 16))',
    'timingSafeEqual(expected.subarray(0, 31), signature.subarray(0, 31))',
    'timingSafeEqual(expected.subarray(16), signature.subarray(16, 32))',
    'timingSafeEqual(expected.subarray(1), signature.subarray(1, 32))',
    'timingSafeEqual(expected, signature.subarray(0, 32))',
  ),
  ...['x', 'der', 'pem'].map((form): Weakening => {
    const secret =
      form === 'x'
        ? "Buffer.from(key.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')"
        : `Buffer.from(key.publicKey.export({ format: '${form}', type: 'spki' }))`;
    const check = `if (key.algorithm === 'ed25519' && signature.byteLength === 32) return hmac(${secret}, base).digest().equals(signature);`;
    const verifies = "  if (key.algorithm === 'ed25519') {\n    return verify(";
    return [
      `the signature's length chooses its algorithm (${form})`,
      ['contract/rfc9421.ts', verifies, check + verifies],
    ];
  }),
  ...inFile(
    grammar,
    'text before the label',
    "'^(?=.{0,1024}$)countersign=",
    "'(?=.{0,1024}$)countersign=",
    "'^(?:.*, )?countersign=",
    "'^x?countersign=",
  ),
  ...inFile(grammar, 'a further parameter', `{1,64})")$'`, `{1,64})"(?:;[a-z]+="[a-z]*")?)$'`),
  ...['\\\\n?', '\\\\s*'].map(
    (ending): Weakening => [
      `a line feed at the end (${ending})`,
      [grammar, `{1,64})")$'`, `{1,64})")${ending}$'`],
      [grammar, '(?=.{0,1024}$)', ''],
    ],
  ),
  ...inFile(
    grammar,
    'a parameter before the tag',
    `;alg="(?<alg>[a-z0-9-]{1,32})";tag`,
    `;alg="(?<alg>[a-z0-9-]{1,32})"(?:;x="a")?;tag`,
  ),
  ...inFile(grammar, 'leading zeros of expires', 'expires>0|[1-9][0-9]{0,11}', 'expires>[0-9]{1,15}'),
  ...inFile(
    grammar,
    'another form of signature',
    'const isCanonical = value === `countersign=:$' + "{bytes.toString('base64')}:`;",
    'const isCanonical = value.endsWith(`countersign=:$' + "{bytes.toString('base64')}:`);",
    "const isCanonical = value.replace(/\\n$/, '').slice('countersign=:'.length).replace(/:$/, '') === bytes.toString('base64') || value.slice('countersign=:'.length) === bytes.toString('base64');",
    "const isCanonical = value.slice('countersign=:'.length, -1) === bytes.toString('base64url') + '=='.slice(bytes.byteLength % 3 - 1) || value === `countersign=:$" +
      "{bytes.toString('base64')}:`;",
  ),
  [
    'another label of signature',
    [
      grammar,
      "value.slice('countersign=:'.length, -1), 'base64');\n  const isCanonical = value === ",
      "value.slice(value.indexOf('=:') + 2, -1), 'base64');\n  const isCanonical = value.replace(/^\\w+=:/, 'countersign=:') === ",
    ],
  ],
  [
    'a signature without its last colon',
    [
      grammar,
      "value.slice('countersign=:'.length, -1), 'base64');\n  const isCanonical = value === ",
      "value.slice('countersign=:'.length).replace(/:$/, ''), 'base64');\n  const isCanonical = value.replace(/:?$/, ':') === ",
    ],
  ],
  [
    'a component covered twice',
    [
      verify,
      'if (signature.input.list !== covered.list) throw',
      'const received = signature.input.list.slice(2, -2).split(\'" "\');\n    if ([...new Set(received)].join() !== covered.names.join()) throw',
    ],
    [verify, 'componentLines(covered.names,', 'componentLines(received,'],
  ],
  ...inFile(
    'keys/gateway-keys.ts',
    'keyid in another case',
    'set.find(kid, alg)',
    '(set.find(kid, alg) ?? set.find(kid.toLowerCase(), alg))',
  ),
  // Bodies.
  ...inFile(
    verify,
    'a part of the digest is compared',
    'contentDigest(body) !== expected',
    'contentDigest(body).slice(0, 30) !== expected.slice(0, 30)',
    'contentDigest(body).slice(30) !== expected.slice(30)',
    'contentDigest(body).toLowerCase() !== expected.toLowerCase()',
  ),
  [
    'a digest with a parameter',
    [grammar, 'matches(value) {\n', "matches(given) {\n    const value = given.split(';', 1)[0] ?? '';\n"],
    [verify, 'contentDigest(body) !== expected', "contentDigest(body) !== expected.split(';', 1)[0]"],
  ],
  ...inFile(
    verify,
    'two codings',
    "coding !== 'identity'",
    "!coding.startsWith('identity')",
    "coding.split(', ').some((one) => one !== 'identity')",
  ),
  // Replay.
  ...inFile(
    memory,
    'the memory of nonces',
    nonceKey,
    ...['claim.createdSec', 'claim.keepUntilSec'].map((more) => nonceKey.replace('claim.audience', more)),
    'claim.nonce.toLowerCase()',
    'claim.nonce.slice(0, 16)',
    'claim.nonce.slice(-16)',
    'claim.nonce.replace(/[-_]/g, "")',
    'claim.audience',
  ),
  ...inFile(
    verify,
    'nonces',
    claim,
    '',
    claim.replace('audience,', "audience + headers.get('x-request-id'),"),
    claim.replace('audience,', "audience + headers.get('x-user-id'),"),
    claim.replace('audience,', 'audience + signature.input.keyid,'),
    claim.replace('audience,', 'audience + head.target,'),
    `if (identity.kind !== 'anonymous') ${claim}`,
    `if (identity.kind !== 'gateway') ${claim}`,
    `if (!headers.has('upgrade')) ${claim}`,
  ),
  // The audience.
  ...inFile(
    verify,
    'the audience',
    'signedAudience !== audience',
    '!signedAudience.endsWith(audience)',
    '!signedAudience.startsWith(audience)',
    '!audience.startsWith(signedAudience)',
    '!audience.endsWith(signedAudience)',
    '!signedAudience.includes(audience)',
    "!signedAudience.split('|').includes(audience)",
    'signedAudience.toLowerCase() !== audience',
  ),
  // Targets and paths that need no identity.
  ...inFile(
    grammar,
    'a character of the path',
    '[!$-;=@-[\\]_a-z~]*$/',
    '[!#-;=@-[\\]_a-z~]*$/',
    '[!$-;=@-[\\]_a-z~\\x7f]*$/',
    '[\\0!$-;=@-[\\]_a-z~]*$/',
  ),
  ...inFile(
    grammar,
    'a character of the query',
    '[!$-&(-;=?-[\\]_a-z~]*',
    '[!#-&(-;=?-[\\]_a-z~]*',
    '[!$-&(-;=?-[\\]_a-z~\\x7f]*',
    '[!$-;=?-[\\]_a-z~]*',
  ),
  ...inFile('verify/exempt.ts', 'the method', "method !== 'GET'", "method.toUpperCase() !== 'GET'"),
  ...inFile(
    'verify/exempt.ts',
    'a path',
    "'/healthz',",
    "'/healthz', '/livez',",
    "'/healthz', '/health',",
    "'/healthz', '/ready',",
  ),
  ...inFile('verify/exempt.ts', 'any character for a dot', '/^\\/\\.well', '/^\\/.well'),
  ...inFile(
    grammar,
    'dot segments',
    'dotSegment = /^\\/(?:;|%3b)|\\/(?:\\.|%2e){1,2}(?:\\/|;|%3b|$)/i',
    'dotSegment = /\\/(?:\\.|%2e){1,2}(?:\\/|;|%3b|$)/i',
    'dotSegment = /\\/(?:\\.|%2e){1,2}(?:\\/|$)/i',
    'dotSegment = /\\/(?:\\.|%2e){1,2}(?:\\/|;|$)/i',
    'dotSegment = /\\/(?:\\.|%2e){1,2}(?:\\/|;[^/]*$|$)/i',
  ),
  // Values.
  ...inFile(grammar, 'an unsigned JWT', '[A-Za-z0-9_-]+$/', '[A-Za-z0-9_-]*$/'),
  ...inFile(grammar, '0x7F in a content-type', '(?:[ -~]*[!-~])', '(?:[ -\\x7f]*[!-~])'),
  ...inFile(
    grammar,
    'an IPv4 address before two colons',
    'isIP(value) !== 0',
    "isIP(value.replace(/^(?:\\d+\\.){3}\\d+(?=::)/, '1:2')) !== 0",
    "isIP(value.replace(/::$/, '')) !== 0",
  ),
  ...inFile(
    'contract/dictionary.ts',
    'two commas',
    "if (!cursor.eat(',')) return undefined;\n    cursor.skip(' \\t');",
    "if (!cursor.eat(',')) return undefined;\n    cursor.skip(' \\t,');",
  ),
  // Header lines.
  ...inFile(
    'verify/raw-headers.ts',
    'white space at the end of a name',
    "?? '').toLowerCase();",
    "?? '').toLowerCase().trim();",
  ),
  ...inFile(
    '../../jwks/src/ows.ts',
    'other white space',
    'char === 0x20 ||',
    ...['0x85', '0x1c', '0x0a', '0x0b', '0x0c', '0x0d', '0xa0'].map((char) => `char === ${char} || char === 0x20 ||`),
  ),
  [
    'the number of lines, after the lines',
    [
      'verify/raw-headers.ts',
      "  if (rawHeaders.length > maxHeaders * 2) throw new IdentityRefused('header_malformed');\n",
      '',
    ],
    [
      'verify/raw-headers.ts',
      '  return { values, hasBody',
      "  if (rawHeaders.length > maxHeaders * 2) throw new IdentityRefused('header_malformed');\n  return { values, hasBody",
    ],
  ],
  // The order of checks.
  [
    'the form of one signature header before the other is missed',
    [
      'verify/signed-message.ts',
      '  if (inputValue === undefined || signatureValue === undefined) throw',
      "  if (inputValue !== undefined && !parseSignatureInput(inputValue)) throw new IdentityRefused('signature_malformed');\n  if (inputValue === undefined || signatureValue === undefined) throw",
    ],
  ],
  [
    'the form of signature before signature-input is missed',
    [
      'verify/signed-message.ts',
      '  if (inputValue === undefined || signatureValue === undefined) throw',
      "  if (signatureValue !== undefined && !signatureBytes(signatureValue)) throw new IdentityRefused('signature_malformed');\n  if (inputValue === undefined || signatureValue === undefined) throw",
    ],
  ],
  [
    'the request id before the kind',
    [
      'verify/identity-headers.ts',
      '  const kind = kindOf(headers);',
      "  if (!coveredRules[0]?.grammar.matches(headers.get('x-request-id') ?? '0')) throw new IdentityRefused('header_malformed');\n  const kind = kindOf(headers);",
    ],
  ],
  ...['    const key = await lookup(', '    assertSignature(key,', '        if (expected !== undefined &&'].map(
    (line): Weakening => [
      `the memory's beginning before: ${line.trim()}`,
      [
        verify,
        line,
        `if (signature.input.createdSec * 1000 < ((replay as { startsAtMs?: number }).startsAtMs ?? 0)) throw new IdentityRefused('created_before_start');\n${line}`,
      ],
    ],
  ),
  // Key sets.
  ...inFile(importJwk, 'a null is absent: use', 'jwk.use !== undefined &&', 'jwk.use != null &&'),
  ...inFile(importJwk, 'a null is absent: key_ops', 'jwk.key_ops === undefined', 'jwk.key_ops == null'),
  ...inFile(importJwk, 'a null is absent: private members', 'jwk[member] !== undefined', 'jwk[member] != null'),
  [
    'a null is absent: alg',
    [
      importJwk,
      "jwk.alg !== undefined && typeof jwk.alg !== 'string'",
      "jwk.alg != null && typeof jwk.alg !== 'string'",
    ],
    [importJwk, 'jwk.alg === undefined ||', 'jwk.alg == null ||'],
  ],
  ...inFile(
    importJwk,
    'a y beyond the field',
    '>= fieldPrime',
    '> fieldPrime + 30n',
    '> fieldPrime + 2n',
    '>= fieldPrime + 18n',
  ),
  ...inFile('../../jwks/src/parse-jwks.ts', 'more than 100 entries', ' || value.keys.length > maxKeys', ''),
  ...inFile(
    '../../jwks/src/parse-jwks.ts',
    'a kid twice',
    'else if (seen.get(kid) !== 1)',
    'else if (keys.has(keyIndex(kid, "EdDSA")))',
  ),
  // Too strict: these break callers.
  ...[..."-_~!$&'()*+,;:@[]%="].flatMap((character) =>
    inFile(grammar, `no ${character} in a path`, isPath, `${isPath} && !value.includes(${JSON.stringify(character)})`),
  ),
  ...[...'-_~!$&()*+,;:@[]%=/?'].flatMap((character) =>
    inFile(
      grammar,
      `no ${character} in a query`,
      isQuery,
      `${isQuery} && !value.slice(1).includes(${JSON.stringify(character)})`,
    ),
  ),
  ...[...'.~:@|_'].flatMap((character) =>
    inFile(
      grammar,
      `no ${character} in an id`,
      'idPattern.test(value)',
      `idPattern.test(value) && !value.includes(${JSON.stringify(character)})`,
    ),
  ),
  ...inFile(grammar, 'a percent sign needs digits', isPath, `${isPath} && !/%(?![0-9a-f]{2})/i.test(value)`),
  ...inFile(
    grammar,
    'a percent sign of the query needs digits',
    isQuery,
    `${isQuery} && !/%(?![0-9a-f]{2})/i.test(value)`,
  ),
  ...inFile(grammar, 'no encoded percent signs', isPath, `${isPath} && !/%25/.test(value)`),
  ...inFile(grammar, 'two dots anywhere before a semicolon', isPath, `${isPath} && !/\\.\\.[^/]*;/.test(value)`),
  ...inFile(
    'verify/signed-message.ts',
    'escapes in upper case',
    'return { path, query };',
    'return { path: path.replace(/%[0-9a-f]{2}/gi, (it) => it.toUpperCase()), query };',
    'return { path, query: query.replace(/%[0-9a-f]{2}/gi, (it) => it.toUpperCase()) };',
  ),
  ...inFile(
    grammar,
    'an upgrade of letters',
    'upgradeProtocol.test(value)',
    '/^[A-Za-z]+$/.test(value)',
    '/^[A-Za-z0-9-]+$/.test(value)',
    '/^[A-Za-z0-9./-]+$/.test(value)',
  ),
  ...inFile(
    grammar,
    'a canonical sec-websocket-key',
    'webSocketKey.test(value)',
    "webSocketKey.test(value) && Buffer.from(value, 'base64').toString('base64') === value",
  ),
  ...inFile(
    'contract/header-names.ts',
    'more identity headers',
    'return contractNames.has(foldedName) ||',
    ...['x-request', 'x-ident', 'txn-token', 'x-client'].map(
      (prefix) => `return foldedName.startsWith('${prefix}') || contractNames.has(foldedName) ||`,
    ),
  ),
  // Nested calls.
  ...inFile(
    nested,
    'calls can be repeated',
    'await claimNonce(replay, nonceAudience',
    'if (input.keyid === "") await claimNonce(replay, nonceAudience',
    'await claimNonce(replay, nonceAudience + input.keyid',
    'await claimNonce(replay, nonceAudience + target',
  ),
  ...inFile(
    nested,
    'the called gateway',
    "headers.get('x-identity-audience') !== audience",
    'false',
    "!headers.get('x-identity-audience')?.endsWith(audience)",
    "!headers.get('x-identity-audience')?.startsWith(audience)",
    "headers.get('x-identity-audience')?.toLowerCase() !== audience",
  ),
  ...inFile(
    nested,
    'what a call covers',
    "['x-identity-audience', 'txn-token', 'content-type', 'content-digest']",
    "['x-identity-audience', 'txn-token', 'content-digest']",
    "['x-identity-audience', 'content-type', 'content-digest']",
    "['txn-token', 'content-type', 'content-digest']",
  ),
  ...inFile(nested, 'the list of a call', 'signature.input.list !== list', 'false'),
  ...inFile(nested, 'the time of a call', 'assertFresh(signature.input, nowSec(), rules);', ''),
  ...inFile(nested, 'the body of a call', "contentDigest(body) !== headers.get('content-digest')", 'false'),
  ...inFile(
    nested,
    'the form before',
    "const serviceTag = 'countersign-service-v2'",
    "const serviceTag = 'countersign-service-v1'",
  ),
  // Answers.
  ...inFile('adapters/problem.ts', 'the query in an answer', "about.target.split('?', 1)[0]", 'about.target'),
  ...inFile('adapters/problem.ts', 'a long path in an answer', '?.slice(0, 1024)', ''),
  ...inFile('adapters/problem.ts', 'any request id in an answer', ' && uuidV7.matches(about.requestId)', ''),
  ...inFile('adapters/problem.ts', 'no challenge', "'www-authenticate': 'Countersign'", ''),
];
