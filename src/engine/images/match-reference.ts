/** The pattern syntax of Go's path.Match: `*` and `?` do not cross a slash, `[a-z]` is a class. */
function toRegExp(pattern: string): RegExp | undefined {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const close = pattern.indexOf(']', i + 2);
      if (close < 0) return undefined;
      const body = pattern.slice(i + 1, close).replace(/\\/g, '\\\\');
      source += `[${body.startsWith('^') ? `^${body.slice(1)}` : body}]`;
      i = close;
    } else source += char.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  }
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return undefined;
  }
}

const PATTERN_LIMIT = 512;

/** `reference=busy*`, `reference=*:latest`, `reference=repo`: against the whole name, and against the name without its tag. */
export function matchesReference(pattern: string, tag: string): boolean {
  if (pattern.length > PATTERN_LIMIT || /\*{4,}/.test(pattern)) return false;
  const expression = toRegExp(pattern);
  if (expression === undefined) return false;
  const name = tag.replace(/:[^/:]*$/, '');
  return expression.test(tag) || expression.test(name);
}
