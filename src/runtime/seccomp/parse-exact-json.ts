/** JSON strings, or integers too long for a double. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;

/** JSON.parse, except that integers beyond 2^53 come back as decimal strings instead of losing digits. Throws SyntaxError. */
export const parseExactJson = (text: string): unknown =>
  JSON.parse(text.replace(TOKENS, (token) => (token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${token}"`)));
