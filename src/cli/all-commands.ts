import type { Command } from './command.ts';
import { CONTAINER_COMMANDS } from './container-commands.ts';
import { IMAGE_COMMANDS } from './image-commands.ts';
import { OBJECT_COMMANDS } from './object-commands.ts';

/** Every command there is. */
export const COMMANDS: readonly Command[] = [...CONTAINER_COMMANDS, ...IMAGE_COMMANDS, ...OBJECT_COMMANDS];
