import { runtimeSuite } from './runtime-suite.ts';

/** NARU_CONFORMANCE_RUNTIME: another runtime with runc's command line, to compare. */
const other = process.env['NARU_CONFORMANCE_RUNTIME'];
runtimeSuite(other ?? 'naru runtime', other === undefined ? undefined : [other]);
