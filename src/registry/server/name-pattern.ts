/** Matches names of repositories or tags: `*` is anything within a component, `**` anything, everything else itself. */
export function namePattern(pattern: string): (name: string) => boolean {
  if (pattern === '**') return () => true;
  const source = pattern.split(/(\*\*|\*)/).map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('');
  const compiled = new RegExp(`^${source}$`, 's');
  return (name) => compiled.test(name);
}
