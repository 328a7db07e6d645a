import manifest from '../../package.json' with { type: 'json' };

/** Put in by scripts/build.ts; not there when the sources themselves are run. */
declare const NARU_BUILD: { readonly commit: string; readonly time: string } | undefined;

export const VERSION: string = manifest.version;

/** What the executable was built from: the commit, shortened, and its time in ISO 8601. Empty where that is not known. */
export const BUILD: { readonly commit: string; readonly time: string } = typeof NARU_BUILD === 'undefined' ? { commit: '', time: '' } : NARU_BUILD;
