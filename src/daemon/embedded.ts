import { readFileSync } from 'node:fs';
import helperPath from '../../dist/obj/naru-helper' with { type: 'file' };
import helloPath from '../../dist/obj/hello' with { type: 'file' };

/** The native programs, carried inside the executable (in development: read from dist/obj). */
export const embeddedHelper = (): Uint8Array => readFileSync(helperPath);
export const embeddedHello = (): Uint8Array => readFileSync(helloPath);
