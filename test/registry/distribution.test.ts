import { after, before, describe } from 'node:test';
import { distributionSuite } from './distribution-suite.ts';
import { testRegistry, type TestRegistry } from './harness.ts';

describe('OCI distribution on the file system', () => {
  let registry: TestRegistry;
  before(async () => { registry = await testRegistry(); });
  after(() => registry[Symbol.asyncDispose]());
  distributionSuite(() => registry.url);
});
