/** Entrance for development and tests, where the interpreter runs the job's module itself. */
import { runJob } from './run-job.ts';

await runJob(process.argv.slice(2));
