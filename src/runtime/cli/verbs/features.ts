import { runtimeFeatures } from '#runtime/spec/runtime-features.ts';
import type { Verb } from '../context.ts';
import { findCriu } from '../criu.ts';
import { parseFlags } from '../flags.ts';

/** `features`: https://github.com/opencontainers/runtime-spec, features.md. */
export const features: Verb = (words, context) => {
  parseFlags(words, {});
  process.stdout.write(`${JSON.stringify(runtimeFeatures({ version: context.version, criu: findCriu(context.criu) }), null, 2)}\n`);
  return 0;
};
