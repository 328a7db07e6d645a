/**
 * Node's own modules, loaded by whoever needs one: node:fs takes 1.4 of the 8 ms in which a command line starts, node:path 0.5,
 * node:child_process 1.1. What every command does goes through sys.
 */
let loadedFs: typeof import('node:fs') | undefined;
export const fs = (): typeof import('node:fs') => (loadedFs ??= process.getBuiltinModule('node:fs'));
export const nodePath = (): typeof import('node:path') => process.getBuiltinModule('node:path');
